/** Peak memory of a mover in a process of its own: a load of many gigabytes, and one transaction of very many rows. */
import { type BenchmarkOptions, goal, type Measured } from './measure.ts'
import { BenchedMover } from './postgresql-mover.ts'
import { fillPgbench, type Servers, settle, startServers } from './postgresql-servers.ts'

const database = 'bench'
const goalMiB = 300
/** What a mover must carry for each unit of scale; 50 makes 10 GB and 10 million rows. */
const perScale = { valuesOf128KiB: 1_500, rows: 200_000 }

export async function benchMemory(options: BenchmarkOptions): Promise<Measured> {
  const { scale, log } = options
  await using servers = await startServers()
  const { source, target } = servers
  const values = scale * perScale.valuesOf128KiB
  const rows = scale * perScale.rows
  log(`filling the source: ${values} values of 128 KiB and pgbench scale ${scale}`)
  await fillPgbench(source, database, scale)
  await fillLarge(servers, values)
  await settle(source, database)
  await target.createDatabase(database)
  await using mover = await BenchedMover.start({ source: source.url(database), target: target.url(database) }, options)
  await mover.load()
  const load = await mover.takePeakMiB()
  log(`loaded with ${Math.round(load)} MiB; writing ${rows} rows in one transaction`)
  await mover.level()
  await writeOneTransaction(servers, rows)
  await mover.level()
  const follow = await mover.takePeakMiB()
  await mover.cleanUp()
  await requireAll(servers, rows)
  const gigabytes = ((values * 128 * 1024) / 1e9 + scale * 0.015).toFixed(1)
  return {
    rows: [
      goal({ work: `memory of a mover, load of ${gigabytes} GB, 4 workers`, unit: 'MiB', ours: load, goal: goalMiB }),
      goal({ work: `memory of a mover, a transaction of ${rows} rows`, unit: 'MiB', ours: follow, goal: goalMiB }),
    ],
    setting: `PostgreSQL 15 to 15 on the same machine; ${values} values of 128 KiB, which the servers keep compressed, and pgbench scale ${scale}. Peak resident memory as the kernel counts it (VmHWM).`,
  }
}

/** Large on the way and small on the disk: what counts here passes through the mover. */
async function fillLarge({ source }: Servers, count: number): Promise<void> {
  await source.query('CREATE TABLE large (id bigint PRIMARY KEY, body text)', database)
  await source.query(
    `INSERT INTO large SELECT i, repeat(md5(i::text), 4096) FROM generate_series(1, ${count}) i`,
    database,
  )
}

async function writeOneTransaction({ source }: Servers, rows: number): Promise<void> {
  await source.query(
    `INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) SELECT 1, 1, i, i % 5000, now() FROM generate_series(1, ${rows}) i`,
    database,
  )
}

async function requireAll({ target }: Servers, rows: number): Promise<void> {
  const [found] = await target.query<{ count: string }>('SELECT count(*) FROM pgbench_history', database)
  if (Number(found?.count) !== rows) throw new Error(`The target holds ${found?.count} rows of the transaction.`)
}
