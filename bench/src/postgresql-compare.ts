/** A whole comparison while the stream goes on, against reading both sides once in the order of their keys. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { type BenchmarkOptions, contest, type Measured, time } from './measure.ts'
import { BenchedMover } from './postgresql-mover.ts'
import { fillPgbench, type Servers, settle, sizeOf, startServers } from './postgresql-servers.ts'
import { fillWideTable } from './wide-table.ts'

const run = promisify(execFile)
const database = 'bench'
const keys = { pgbench_accounts: 'aid', pgbench_branches: 'bid', pgbench_tellers: 'tid', wide: 'id' }

export async function benchCompare(options: BenchmarkOptions): Promise<Measured> {
  const { scale, runs, log } = options
  await using servers = await startServers()
  const { source, target } = servers
  log(`filling the source: pgbench scale ${scale} and a wide table`)
  await fillPgbench(source, database, scale)
  await fillWideTable(source, database, scale)
  await settle(source, database)
  await target.createDatabase(database)
  await using mover = await BenchedMover.start({ source: source.url(database), target: target.url(database) }, options)
  await mover.load()
  await mover.level()
  await settle(target, database)
  const row = await contest(
    {
      work: `live comparison, pgbench scale ${scale} and a wide table with TOAST`,
      unit: 's',
      peerName: 'both sides read once in key order',
      ours: () => timeOurs(mover),
      peer: () => time(() => readBoth(servers)),
    },
    runs,
    log,
  )
  await mover.cleanUp()
  const setting = `PostgreSQL 15 to 15 on the same machine, ${await sizeOf(source, database)}. The peer is COPY (SELECT * … ORDER BY key) TO STDOUT (FORMAT binary) of both sides at once, table by table, by psql into /dev/null.`
  return { rows: [row], setting }
}

async function timeOurs(mover: BenchedMover): Promise<number> {
  const { equal, seconds } = await mover.compare()
  if (!equal) throw new Error('The sides differ.')
  return seconds
}

async function readBoth({ source, target }: Servers): Promise<void> {
  for (const [table, key] of Object.entries(keys)) {
    await Promise.all([source, target].map((server) => readInOrder(server, table, key)))
  }
}

async function readInOrder(server: PostgresqlServer, table: string, key: string): Promise<void> {
  const sql = `COPY (SELECT * FROM ${table} ORDER BY ${key}) TO STDOUT (FORMAT binary)`
  await run('sh', ['-c', `psql --quiet -c '${sql}' "$FROM" >/dev/null`], {
    env: { ...process.env, FROM: server.url(database), PGOPTIONS: '-c work_mem=64MB -c jit=off' },
  })
}
