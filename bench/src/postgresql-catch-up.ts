/** Catching up with pgbench's transactions, against native logical replication from a slot of its own. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { postgresqlRoute } from '@replatform/connector-postgresql/route'
import type { Mover } from '@replatform/core/connector'
import { loadChunks } from '@replatform/engine/load-chunks'
import { Throttle } from '@replatform/engine/throttle'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { type BenchmarkOptions, contest, type Row } from './measure.ts'
import { pgbench, type Servers } from './postgresql-servers.ts'

const run = promisify(execFile)
const transactions = 100_000
/** Each of pgbench's transactions changes three rows and adds one. */
const rowChanges = transactions * 4
const tables = ['accounts', 'branches', 'tellers', 'history'].map((name) => `pgbench_${name}`)

export async function benchCatchUp({ source, target }: Servers, { runs, log }: BenchmarkOptions): Promise<Row> {
  for (const name of ['ours', 'native']) await target.createDatabase(name)
  await source.createDatabase('follow')
  await run(pgbench, ['-i', '-q', '-s', '10', source.url('follow')])
  await source.query('ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY', 'follow')
  await copyForNative(source, target)
  await using mover = await loadOurs(source, target)
  const row = await contest(
    {
      work: `catch-up, ${transactions} pgbench transactions`,
      unit: 'rows/s',
      peerName: 'native logical replication',
      prepare: () => writeTransactions(source, log),
      ours: async () => rowChanges / (await timeOurs(source, mover)),
      peer: async () => rowChanges / (await timeNative(source, target)),
    },
    runs,
    log,
  )
  await target.query('ALTER SUBSCRIPTION bench SET (slot_name = NONE)', 'native')
  await target.query('DROP SUBSCRIPTION bench', 'native')
  await mover.cleanUp('stream')
  return row
}

async function copyForNative(source: PostgresqlServer, target: PostgresqlServer): Promise<void> {
  await source.query(`CREATE PUBLICATION bench FOR TABLE ${tables.join(', ')}`, 'follow')
  await source.query(`SELECT pg_create_logical_replication_slot('bench', 'pgoutput')`, 'follow')
  await run('sh', ['-c', 'pg_dump --schema=public --no-publications "$FROM" | psql --quiet "$TO"'], {
    env: { ...process.env, FROM: source.url('follow'), TO: target.url('native') },
  })
  await target.query(
    `CREATE SUBSCRIPTION bench CONNECTION '${source.url('follow')}' PUBLICATION bench
     WITH (copy_data = false, create_slot = false, slot_name = 'bench', enabled = false)`,
    'native',
  )
}

async function loadOurs(source: PostgresqlServer, target: PostgresqlServer): Promise<Mover> {
  const side = (server: PostgresqlServer, name: string) => ({ kind: 'postgresql' as const, url: server.url(name) })
  const mover = postgresqlRoute.open({
    move: 'bench',
    direction: 'forward',
    source: side(source, 'follow'),
    target: side(target, 'ours'),
    tools: {},
    workers: 2,
    log: { info() {}, warn() {}, error() {} },
  })
  await mover.prepare({ load: true })
  await mover.groups()
  await loadChunks({
    mover,
    workers: 2,
    throttle: new Throttle(),
    signal: new AbortController().signal,
    report: () => {},
  })
  await mover.finishLoad(() => {})
  return mover
}

async function writeTransactions(source: PostgresqlServer, log: (line: string) => void): Promise<void> {
  log(`writing ${transactions} transactions`)
  const clients = 4
  const args = ['-n', '-c', String(clients), '-t', String(transactions / clients), source.url('follow')]
  await run(pgbench, args, { env: { ...process.env, PGOPTIONS: '-c synchronous_commit=off' } })
}

/** Seconds until everything that the source has written so far is on the target. */
async function timeOurs(source: PostgresqlServer, mover: Mover): Promise<number> {
  const [end] = await source.query<{ at: string }>('SELECT pg_current_wal_insert_lsn() AS at')
  const reached = new AbortController()
  const startedAt = performance.now()
  await mover.follow({
    signal: reached.signal,
    throttle: async () => {},
    report: ({ position }) => {
      if (parse(position) >= parse(end?.at ?? '0/0')) reached.abort()
    },
  })
  return (performance.now() - startedAt) / 1_000
}

async function timeNative(source: PostgresqlServer, target: PostgresqlServer): Promise<number> {
  const newest = 'SELECT max(id)::text AS id FROM pgbench_history'
  const [end] = await source.query<{ id: string }>(newest, 'follow')
  const startedAt = performance.now()
  await target.query('ALTER SUBSCRIPTION bench ENABLE', 'native')
  const isLevel = async () => (await target.query<{ id: string }>(newest, 'native'))[0]?.id === end?.id
  await pollUntil('native replication is level', isLevel, { withinMs: 600_000, everyMs: 50 })
  const seconds = (performance.now() - startedAt) / 1_000
  await target.query('ALTER SUBSCRIPTION bench DISABLE', 'native')
  return seconds
}

/** A log sequence number as bytes. */
function parse(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
