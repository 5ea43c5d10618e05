/** Full load with indexes of pgbench's tables, against `pgcopydb clone` at the best setting found on two cores. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { type BenchmarkOptions, contest, type Row } from './measure.ts'
import { pgbench, type Servers } from './postgresql-servers.ts'

const run = promisify(execFile)

/** Ours and pgcopydb copy the same database, in turn, into an emptied one. */
export async function benchFullLoad(
  { source, target }: Servers,
  { runs, scale, log }: BenchmarkOptions,
): Promise<{ row: Row; size: string }> {
  await source.createDatabase('bench')
  log(`filling the source: pgbench scale ${scale}`)
  await run(pgbench, ['-i', '-q', '-s', String(scale), source.url('bench')])
  // The first reader of new rows writes their hint bits, which would burden whoever happens to run first.
  await source.query('VACUUM ANALYZE', 'bench')
  await source.query('CHECKPOINT')
  const [size] = await source.query<{ mb: number }>(`SELECT pg_database_size('bench') / 1048576 AS mb`)
  const row = await contest(
    {
      work: `full load, pgbench scale ${scale}`,
      unit: 's',
      peerName: 'pgcopydb clone',
      ours: () => timeOurs(source, target),
      peer: () => timePgcopydb(source, target),
    },
    runs,
    log,
  )
  return { row, size: `${size?.mb} MB with indexes` }
}

async function timeOurs(source: PostgresqlServer, target: PostgresqlServer): Promise<number> {
  await emptyTarget(target)
  const program = fileURLToPath(new URL('./load-once.ts', import.meta.url))
  const env = { ...process.env, BENCH_SOURCE_URL: source.url('bench'), BENCH_TARGET_URL: target.url('bench') }
  const seconds = await time(() => run(process.execPath, [program], { env }))
  await requireSameRows(source, target)
  await source.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots; DROP PUBLICATION replatform_bench_forward;
     DROP SCHEMA replatform CASCADE`,
    'bench',
  )
  return seconds
}

async function timePgcopydb(source: PostgresqlServer, target: PostgresqlServer): Promise<number> {
  await emptyTarget(target)
  const folder = await mkdtemp(join(tmpdir(), 'replatform-bench-'))
  const env = { ...process.env, PGCOPYDB_SOURCE_PGURI: source.url('bench'), PGCOPYDB_TARGET_PGURI: target.url('bench') }
  const args = [
    'clone',
    '--dir',
    join(folder, 'work'),
    '--table-jobs',
    '4',
    '--index-jobs',
    '2',
    '--split-tables-larger-than',
    '100MB',
  ]
  const seconds = await time(() => run('pgcopydb', args, { env, maxBuffer: 64 * 1024 * 1024 }))
  await rm(folder, { recursive: true, force: true })
  await requireSameRows(source, target)
  return seconds
}

async function emptyTarget(target: PostgresqlServer): Promise<void> {
  await target.query('DROP DATABASE IF EXISTS bench WITH (FORCE)')
  await target.createDatabase('bench')
  await target.query('CHECKPOINT')
}

/** A load that is fast because it left something out is no load. */
async function requireSameRows(source: PostgresqlServer, target: PostgresqlServer): Promise<void> {
  const sql = `SELECT (SELECT count(*) FROM pgbench_accounts) || ' ' || (SELECT sum(aid) FROM pgbench_accounts) || ' ' ||
    (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname LIKE 'pgbench%') AS figures`
  const [ours] = await source.query<{ figures: string }>(sql, 'bench')
  const [theirs] = await target.query<{ figures: string }>(sql, 'bench')
  if (ours?.figures !== theirs?.figures)
    throw new Error(`The target holds ${theirs?.figures}, the source ${ours?.figures}`)
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1_000
}
