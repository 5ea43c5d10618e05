import { startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { Client } from 'pg'

export interface TestPooler extends AsyncDisposable {
  readonly url: string
  /** The admin console: takes simple queries only. */
  readonly console: Client
}

/** A PgBouncer of the rig in transaction pooling, in front of `databaseUrl`. */
export async function startPooler(databaseUrl: string): Promise<TestPooler> {
  const { hostname: host, port, pathname, username, password } = new URL(databaseUrl)
  const database = pathname.slice(1)
  const pgbouncer = await startPgbouncer({
    databases: { [database]: { host, port: Number(port), dbname: database } },
    users: { [username]: password },
    poolSize: 4,
  })
  const console = new Client({ connectionString: pgbouncer.adminUrl })
  await console.connect()
  return {
    url: pgbouncer.url(database, username, password),
    console,
    async [Symbol.asyncDispose]() {
      await console.end()
      await pgbouncer[Symbol.asyncDispose]()
    },
  }
}
