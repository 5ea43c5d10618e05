import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'

export const pgbench = '/usr/lib/postgresql/15/bin/pgbench'

export interface Servers {
  readonly source: PostgresqlServer
  readonly target: PostgresqlServer
}

const settings = {
  shared_buffers: '512MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  maintenance_work_mem: '256MB',
}

/** Two servers of one major, set up as one would for a load of some gigabytes. */
export async function startServers(): Promise<Servers & AsyncDisposable> {
  const source = await startPostgresql({ major: 15, settings })
  const target = await startPostgresql({ major: 15, settings })
  const stop = async () => {
    await source[Symbol.asyncDispose]()
    await target[Symbol.asyncDispose]()
  }
  return { source, target, [Symbol.asyncDispose]: stop }
}
