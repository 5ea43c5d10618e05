/** Full load with indexes, against `pgcopydb clone` at the best setting found on two cores. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { type BenchmarkOptions, contest, type Measured, time } from './measure.ts'
import { BenchedMover, forgetMove } from './postgresql-mover.ts'
import {
  emptyDatabase,
  fillPgbench,
  pgcopydbVersion,
  type Servers,
  settle,
  sizeOf,
  startServers,
} from './postgresql-servers.ts'
import { fillWideTable } from './wide-table.ts'

const run = promisify(execFile)
const database = 'bench'
const peerSetting = ['--table-jobs', '4', '--index-jobs', '2', '--split-tables-larger-than', '100MB']

/** Ours and pgcopydb copy the same database, in turn, into an emptied one. */
export async function benchLoad(options: BenchmarkOptions): Promise<Measured> {
  const { scale, runs, log } = options
  await using servers = await startServers()
  log(`filling the source: pgbench scale ${scale} and a wide table`)
  await fillPgbench(servers.source, database, scale)
  await fillWideTable(servers.source, database, scale)
  await settle(servers.source, database)
  const row = await contest(
    {
      work: `full load with indexes, pgbench scale ${scale} and a wide table with TOAST`,
      unit: 's',
      peerName: 'pgcopydb clone',
      ours: () => timeOurs(servers, options),
      peer: () => timePgcopydb(servers),
    },
    runs,
    log,
  )
  const setting = `PostgreSQL 15 to 15 on the same machine, ${await sizeOf(servers.source, database)}; ${await pgcopydbVersion()} with ${peerSetting.join(' ')}; ours with 4 workers, the start of its process included.`
  return { rows: [row], setting }
}

async function timeOurs({ source, target }: Servers, options: BenchmarkOptions): Promise<number> {
  await emptyDatabase(target, database)
  const startedAt = performance.now()
  await using mover = await BenchedMover.start({ source: source.url(database), target: target.url(database) }, options)
  await mover.load()
  const seconds = (performance.now() - startedAt) / 1_000
  await mover.stop()
  await requireSameRows(source, target)
  await forgetMove(source, database)
  return seconds
}

async function timePgcopydb({ source, target }: Servers): Promise<number> {
  await emptyDatabase(target, database)
  const folder = await mkdtemp(join(tmpdir(), 'replatform-bench-'))
  const addresses = { PGCOPYDB_SOURCE_PGURI: source.url(database), PGCOPYDB_TARGET_PGURI: target.url(database) }
  const args = ['clone', '--dir', join(folder, 'work'), ...peerSetting]
  const env = { ...process.env, ...addresses }
  const seconds = await time(() => run('pgcopydb', args, { env, maxBuffer: 64 * 1024 * 1024 }))
  await rm(folder, { recursive: true, force: true })
  await requireSameRows(source, target)
  return seconds
}

/** A load that is fast because it left something out is no load. */
async function requireSameRows(source: PostgresqlServer, target: PostgresqlServer): Promise<void> {
  const sql = `SELECT (SELECT count(*) FROM pgbench_accounts) || ' ' || (SELECT sum(aid) FROM pgbench_accounts) || ' ' ||
    (SELECT count(*) FROM wide) || ' ' || (SELECT sum(length(body)) FROM wide) || ' ' ||
    (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace)
    AS figures`
  const [ours] = await source.query<{ figures: string }>(sql, database)
  const [theirs] = await target.query<{ figures: string }>(sql, database)
  if (ours?.figures !== theirs?.figures)
    throw new Error(`The target holds ${theirs?.figures}, the source ${ours?.figures}`)
}
