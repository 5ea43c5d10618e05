/** Catching up with pgbench's transactions, against native logical replication from a slot of its own. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type BenchmarkOptions, contest, type Measured, time } from './measure.ts'
import { BenchedMover } from './postgresql-mover.ts'
import { fillPgbench, rowsOfTransaction, type Servers, startServers, writeTransactions } from './postgresql-servers.ts'

const run = promisify(execFile)
const database = 'follow'
const accountsScale = 10
const tables = ['accounts', 'branches', 'tellers', 'history'].map((name) => `pgbench_${name}`)

export async function benchCatchUp(options: BenchmarkOptions): Promise<Measured> {
  const { runs, transactions, log } = options
  await using servers = await startServers()
  const { source, target } = servers
  for (const name of ['ours', 'native']) await target.createDatabase(name)
  await fillPgbench(source, database, accountsScale)
  await copyForNative(servers)
  await using mover = await BenchedMover.start({ source: source.url(database), target: target.url('ours') }, options)
  await mover.load()
  await mover.stop()
  const rows = transactions * rowsOfTransaction
  const row = await contest(
    {
      work: `catch-up, ${transactions} pgbench transactions`,
      unit: 'rows/s',
      peerName: 'native logical replication',
      prepare: async () => {
        log(`writing ${transactions} transactions`)
        await writeTransactions(source, database, transactions)
      },
      ours: async () => {
        const seconds = await time(async () => {
          mover.follow()
          await untilLevel(servers, 'ours')
        })
        await mover.stop()
        return rows / seconds
      },
      peer: async () => rows / (await timeNative(servers)),
    },
    runs,
    log,
  )
  await target.query('ALTER SUBSCRIPTION bench SET (slot_name = NONE)', 'native')
  await target.query('DROP SUBSCRIPTION bench', 'native')
  return { rows: [row], setting: `PostgreSQL 15 to 15 on the same machine, pgbench scale ${accountsScale}.` }
}

async function copyForNative({ source, target }: Servers): Promise<void> {
  await source.query(`CREATE PUBLICATION bench FOR TABLE ${tables.join(', ')}`, database)
  await source.query(`SELECT pg_create_logical_replication_slot('bench', 'pgoutput')`, database)
  await run('sh', ['-c', 'pg_dump --schema=public --no-publications "$FROM" | psql --quiet "$TO"'], {
    env: { ...process.env, FROM: source.url(database), TO: target.url('native') },
  })
  await target.query(
    `CREATE SUBSCRIPTION bench CONNECTION '${source.url(database)}' PUBLICATION bench
     WITH (copy_data = false, create_slot = false, slot_name = 'bench', enabled = false)`,
    'native',
  )
}

async function timeNative(servers: Servers): Promise<number> {
  const seconds = await time(async () => {
    await servers.target.query('ALTER SUBSCRIPTION bench ENABLE', 'native')
    await untilLevel(servers, 'native')
  })
  await servers.target.query('ALTER SUBSCRIPTION bench DISABLE', 'native')
  return seconds
}

/** Until the newest row of the source is there; nobody writes meanwhile. */
async function untilLevel({ source, target }: Servers, name: string): Promise<void> {
  const newest = 'SELECT max(id)::text AS id FROM pgbench_history'
  const [end] = await source.query<{ id: string }>(newest, database)
  const isLevel = async () => (await target.query<{ id: string }>(newest, name))[0]?.id === end?.id
  await pollUntil(`${name} is level`, isLevel, { withinMs: 600_000, everyMs: 50 })
}
