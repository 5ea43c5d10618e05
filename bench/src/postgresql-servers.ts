import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { requirePrograms } from './peer.ts'

const run = promisify(execFile)

export const pgbench = '/usr/lib/postgresql/15/bin/pgbench'
const pgcopydb = '/usr/bin/pgcopydb'

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
  await requirePrograms({ [pgbench]: 'postgresql-15', [pgcopydb]: 'pgcopydb' })
  const source = await startPostgresql({ major: 15, settings })
  const target = await startPostgresql({ major: 15, settings })
  const stop = async () => {
    await source[Symbol.asyncDispose]()
    await target[Symbol.asyncDispose]()
  }
  return { source, target, [Symbol.asyncDispose]: stop }
}

/** `pgcopydb version 0.10-1`, or whatever is there. */
export async function pgcopydbVersion(): Promise<string> {
  const { stdout } = await run(pgcopydb, ['--version'])
  return stdout.split('\n')[0] ?? 'pgcopydb'
}

/** pgbench's tables, with a key for its history, so that every row can be told from every other. */
export async function fillPgbench(source: PostgresqlServer, database: string, scale: number): Promise<void> {
  await source.createDatabase(database)
  await run(pgbench, ['-i', '-q', '-s', String(scale), source.url(database)])
  await source.query('ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY', database)
}

const clients = 4

export async function writeTransactions(source: PostgresqlServer, database: string, count: number): Promise<void> {
  const args = ['-n', '-c', String(clients), '-t', String(Math.ceil(count / clients)), source.url(database)]
  await run(pgbench, args, { env: { ...process.env, PGOPTIONS: '-c synchronous_commit=off' } })
}

/** Each of pgbench's transactions changes three rows and adds one. */
export const rowsOfTransaction = 4

export async function sizeOf(server: PostgresqlServer, database: string): Promise<string> {
  const [size] = await server.query<{ mb: number }>(`SELECT pg_database_size('${database}') / 1048576 AS mb`)
  return `${size?.mb} MB with indexes`
}

/** The first reader of new rows writes their hint bits, which would burden whoever happens to run first. */
export async function settle(server: PostgresqlServer, database: string): Promise<void> {
  await server.query('VACUUM ANALYZE', database)
  await server.query('CHECKPOINT')
}

export async function emptyDatabase(target: PostgresqlServer, database: string): Promise<void> {
  await target.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
  await target.createDatabase(database)
  await target.query('CHECKPOINT')
}
