/**
 * Compares both sides at one position: the source at the snapshot that a temporary slot exports, the target at the
 * moment when every commit before it, and none after, has been applied. The stream goes on as soon as both snapshots
 * are held. What is written from then on is recorded by key, so that a later comparison has only that to look at.
 */
import type { CompareOptions, OpenOptions } from '@replatform/core/connector'
import { type CompareReport, type CompareResult, isEqual } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import { compareKeys, compareTables } from './compare.ts'
import { type FlowKey, readFlow, requireEpoch } from './flow-store.ts'
import type { Follower } from './follower.ts'
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'
import { streamName } from './names.ts'
import { readTableFiles, requireSameShape } from './schema-shape.ts'
import { closeSession, openSession, type Session, withSession } from './session.ts'
import { ident, literal } from './sql.ts'

export interface AlignedCompareOptions extends CompareOptions {
  readonly open: OpenOptions
  readonly key: FlowKey
  /** The one that follows now; null while both sides are fenced. */
  readonly follower: Follower | null
}

const readOnly = 'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY'

/** Rejects when nothing follows and the sides are not fenced: two moving sides cannot be compared. */
export async function compareAligned(options: AlignedCompareOptions): Promise<CompareReport> {
  const { open, key } = options
  const startedAt = performance.now()
  await using sessions = await openBoth(open)
  const { source, target } = sessions
  const at = options.at === 'live' ? await align(options, source, target) : await takeAsItIs(source, target)
  const flow = await readFlow(target, key)
  const scope = flow?.comparedAt == null ? 'all' : options.scope
  // A whole comparison looks at every table by itself.
  if (scope === 'changed') await requireSameShape(source, target, streamName(key))
  const files = await readTableFiles(source)
  const rewritten = Object.keys(files).filter((label) => files[label] !== flow?.comparedFiles[label])
  const results = await compare({ ...options, scope, rewritten }, source, target)
  const equal = results.every(isEqual)
  // Inside the pause nobody waits for what the end of it makes void.
  if (equal && options.at === 'live') await recordEqual(options, { at, files, epoch: flow?.epoch ?? 0n })
  return { scope, at: formatLsn(at), equal, seconds: (performance.now() - startedAt) / 1_000, results }
}

interface Compared extends AlignedCompareOptions {
  /** Tables whose rows may all have changed without a trace in the stream. */
  readonly rewritten: readonly string[]
}

async function compare(options: Compared, source: Session, target: Session): Promise<CompareResult[]> {
  const { report, signal } = options
  const common = { source, target, ...(report ? { report } : {}), ...(signal ? { signal } : {}) }
  if (options.scope === 'all') return compareTables(common)
  return compareKeys({ ...common, changed: changedKeys(options, target) })
}

/**
 * 1. The intake stops: all that was received was committed before the slot that is made next.
 * 2. The slot is made: its snapshot holds exactly the commits before its consistent point.
 * 3. The follower goes on up to that point and stands still.
 * 4. The target's snapshot is taken, recording of keys begins, and the follower goes on.
 */
async function align({ open, follower }: AlignedCompareOptions, source: Session, target: Session): Promise<Lsn> {
  if (!follower) {
    throw new ReplatformError('cutover.not-ready', {
      message: 'The move follows nothing now, so there is no position at which both sides could be compared.',
    })
  }
  follower.pauseIntake()
  try {
    const { endpoint, at } = await snapshotOf(open, source)
    await follower.holdAt(at).finally(() => closeSession(endpoint))
    await target.query(readOnly)
    await target.query('SELECT 1 FROM replatform.flow LIMIT 1')
    follower.track()
    return at
  } finally {
    follower.resumeIntake()
  }
}

async function snapshotOf(open: OpenOptions, source: Session): Promise<{ endpoint: Session; at: Lsn }> {
  const { move } = open
  const endpoint = await openSession({ endpoint: open.source, side: 'source', move, role: 'align', replication: true })
  // Making a slot waits for every open transaction of the server; one that never ends must not stop the stream.
  await endpoint.query(`SET lock_timeout = '30s'`)
  const { rows } = await endpoint.query(
    `CREATE_REPLICATION_SLOT ${ident(`replatform_compare_${process.pid}_${Date.now()}`)} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`,
  )
  const { snapshot_name, consistent_point } = rows[0] as { snapshot_name: string; consistent_point: string }
  await source.query(readOnly)
  await source.query('SET LOCAL row_security = off')
  await source.query(`SET TRANSACTION SNAPSHOT ${literal(snapshot_name)}`)
  return { endpoint, at: parseLsn(consistent_point) }
}

async function takeAsItIs(source: Session, target: Session): Promise<Lsn> {
  await source.query(readOnly)
  const { rows } = await source.query('SELECT pg_current_wal_insert_lsn() AS position')
  await target.query(readOnly)
  return parseLsn((rows[0] as { position: string }).position)
}

/** In pages, so that memory stays flat however much was written; in the snapshot that is compared. */
async function* changedKeys(
  { key, rewritten }: Compared,
  target: Session,
): AsyncIterable<{ relation: string; keys: string[][] }> {
  for (const relation of rewritten) yield { relation, keys: [[]] }
  await target.query({
    text: `DECLARE changed NO SCROLL CURSOR FOR SELECT c.relation, to_json(c.key) AS key FROM replatform.changed c
           WHERE c.move = $1 AND c.direction = $2 ORDER BY c.relation, c.key`,
    values: [key.move, key.direction],
  })
  for (;;) {
    const { rows } = await target.query('FETCH 5000 FROM changed')
    if (rows.length === 0) return
    for (const [relation, keys] of groupByRelation(rows as ChangedRow[])) yield { relation, keys }
  }
}

interface ChangedRow {
  readonly relation: string
  readonly key: string
}

function groupByRelation(rows: readonly ChangedRow[]): Map<string, string[][]> {
  const groups = new Map<string, string[][]>()
  for (const { relation, key } of rows) {
    const keys = groups.get(relation) ?? []
    groups.set(relation, keys)
    keys.push(JSON.parse(key) as string[])
  }
  return groups
}

/**
 * From here on only later changes are of interest. Refused once another mover has taken over: it may not have recorded
 * the keys that this comparison would let it forget.
 */
async function recordEqual(
  { open, key }: AlignedCompareOptions,
  { at, files, epoch }: { at: Lsn; files: Readonly<Record<string, string>>; epoch: bigint },
): Promise<void> {
  const { move, direction } = key
  await withSession({ endpoint: open.target, side: 'target', move, role: 'compare' }, async (session) => {
    await session.query('BEGIN')
    const { rowCount } = await session.query(
      `UPDATE replatform.flow SET compared_at = $3, compared_files = $4 WHERE move = $1 AND direction = $2 AND epoch = $5`,
      [move, direction, formatLsn(at), JSON.stringify(files), epoch],
    )
    requireEpoch(rowCount, key)
    await session.query('DELETE FROM replatform.changed WHERE move = $1 AND direction = $2 AND position < $3', [
      move,
      direction,
      formatLsn(at),
    ])
    await session.query('COMMIT')
  })
}

/** At once, since connecting is what takes the time in a write pause. */
async function openBoth(open: OpenOptions): Promise<{ source: Session; target: Session } & AsyncDisposable> {
  const session = (side: Side) => openSession({ endpoint: open[side], side, move: open.move, role: 'compare' })
  const [source, target] = await Promise.allSettled([session('source'), session('target')])
  const close = async () => {
    for (const opened of [source, target]) if (opened.status === 'fulfilled') await closeSession(opened.value)
  }
  if (source.status === 'fulfilled' && target.status === 'fulfilled') {
    return { source: source.value, target: target.value, [Symbol.asyncDispose]: close }
  }
  await close()
  throw source.status === 'rejected' ? source.reason : (target as PromiseRejectedResult).reason
}
