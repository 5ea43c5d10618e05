/**
 * Compares both sides at one position: the source at the snapshot that a temporary slot exports, the target at the
 * moment when every commit before it, and none after, has been applied. The stream goes on as soon as both snapshots
 * are held. What is written from then on is recorded by key, so that a later comparison has only that to look at. Where
 * a replica of the source is named, the snapshot is taken there, and the slot's place is taken by its replay.
 */
import type { CompareOptions, OpenOptions } from '@replatform/core/connector'
import { type CompareReport, type CompareResult, isEqual } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import { compareKeys, compareTables } from './compare.ts'
import type { ChangedKeys } from './compare-changed.ts'
import { beginComparing, CompareProgress, forgetProgress } from './compare-progress.ts'
import { type FlowKey, readFlow, requireEpoch } from './flow-store.ts'
import type { Follower } from './follower.ts'
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'
import { streamName } from './names.ts'
import { type ReplicaOptions, requireReplica, takeReplicaSnapshot, waitForReplica } from './replica-snapshot.ts'
import { readTableFiles, requireSameShape } from './schema-shape.ts'
import { closeSession, describe, openSession, type Session } from './session.ts'
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
  const isByReplica = options.at === 'live' && open.source.replica !== undefined
  await using sessions = await openBoth(open, isByReplica)
  const { source, target, control } = sessions
  const at =
    options.at === 'live' ? await align({ ...options, isByReplica }, sessions) : await takeAsItIs(source, target)
  const flow = await readFlow(target, key)
  const scope = flow?.comparedAt == null ? 'all' : options.scope
  // A whole comparison looks at every table by itself.
  if (scope === 'changed') await requireSameShape(source, target, streamName(key))
  const files = await readTableFiles(source)
  const rewritten = Object.keys(files).filter((label) => files[label] !== flow?.comparedFiles[label])
  const epoch = flow?.epoch ?? 0n
  const resumes = options.at === 'live' && scope === 'all'
  const progress = resumes ? await CompareProgress.open({ session: control, key, epoch, at, files }) : undefined
  const results = await compare({ ...options, scope, rewritten, progress }, source, target).catch((thrown) => {
    throw isByReplica ? conflictOf(thrown) : thrown
  })
  const equal = results.every(isEqual)
  // Inside the pause nobody waits for what the end of it makes void.
  if (options.at === 'live') await recordEnd(control, key, { at, files, epoch, equal, wasWhole: scope === 'all' })
  return { scope, at: formatLsn(at), equal, seconds: (performance.now() - startedAt) / 1_000, results }
}

interface Compared extends AlignedCompareOptions {
  /** Tables whose rows may all have changed without a trace in the stream. */
  readonly rewritten: readonly string[]
  readonly progress: CompareProgress | undefined
}

async function compare(options: Compared, source: Session, target: Session): Promise<CompareResult[]> {
  const { report, signal, progress } = options
  const common = { source, target, ...(report ? { report } : {}), ...(signal ? { signal } : {}) }
  if (options.scope === 'all') {
    const writtenSince = (relation: string, at: string) => keysWritten(target, { key: options.key, relation, at })
    return compareTables({ ...common, resume: progress && { progress, writtenSince } })
  }
  return compareKeys({ ...common, changed: changedKeys(options, target) })
}

/**
 * 1. The intake stops: all that was received was committed before the slot that is made next.
 * 2. The slot is made: its snapshot holds exactly the commits before its consistent point.
 * 3. The follower goes on up to that point and stands still.
 * 4. The target's snapshot is taken, recording of keys begins, and the follower goes on.
 */
async function align(
  { open, key, scope, follower, isByReplica }: AlignedCompareOptions & { readonly isByReplica: boolean },
  sessions: Sessions,
): Promise<Lsn> {
  if (!follower) {
    throw new ReplatformError('cutover.not-ready', {
      message: 'The move follows nothing now, so there is no position at which both sides could be compared.',
    })
  }
  const { source, target, control } = sessions
  const name = describe(open.source.replica ?? '', 'source').replace('the source', 'the replica')
  const replica = { replica: source, source: sessions.primary, name }
  if (isByReplica) {
    await requireReplica(replica)
    await waitForReplica(replica)
  }
  follower.pauseIntake()
  try {
    if (isByReplica) await waitForReplica(replica)
    const { endpoint, at } = isByReplica ? await snapshotOfReplica(replica) : await snapshotOf(open, source)
    await follower.holdAt(at).finally(() => endpoint && closeSession(endpoint))
    await target.query(readOnly)
    const flow = await readFlow(target, key)
    // Before the stream goes on: what is written from here on must be recorded, whatever becomes of this process.
    if (scope === 'all' || flow?.comparedAt == null) await beginComparing(control, key, at)
    follower.track()
    return at
  } finally {
    follower.resumeIntake()
  }
}

async function snapshotOfReplica(options: ReplicaOptions): Promise<{ endpoint: null; at: Lsn }> {
  const at = await takeReplicaSnapshot(options)
  await options.replica.query('SET LOCAL row_security = off')
  return { endpoint: null, at }
}

/** The server names neither rows nor tables when it ends a query for the sake of its replay. */
function conflictOf(thrown: unknown): unknown {
  const { code, message } = thrown as { code?: string; message: string }
  if (!(code === '40001' || code === '57P04' || /conflict with recovery/.test(message))) return thrown
  return new ReplatformError('postgresql.replica-conflict', {
    message: 'The replica ended what the comparison was reading, to go on with its replay.',
  })
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

async function* changedKeys({ key, rewritten }: Compared, target: Session): AsyncIterable<ChangedKeys> {
  for (const relation of rewritten) yield { relation, keys: [[]] }
  yield* keysWritten(target, { key })
}

interface KeysWritten {
  readonly key: FlowKey
  /** All tables, and all that is recorded, where nothing is said. */
  readonly relation?: string
  readonly at?: string
}

/** In pages, so that memory stays flat however much was written; in the snapshot that is compared. */
async function* keysWritten(target: Session, { key, relation, at }: KeysWritten): AsyncIterable<ChangedKeys> {
  await target.query({
    text: `DECLARE changed NO SCROLL CURSOR FOR SELECT c.relation, to_json(c.key) AS key FROM replatform.changed c
           WHERE c.move = $1 AND c.direction = $2 AND ($3::text IS NULL OR c.relation = $3)
             AND ($4::pg_lsn IS NULL OR c.position >= $4) ORDER BY c.relation, c.key`,
    values: [key.move, key.direction, relation ?? null, at ?? null],
  })
  for (;;) {
    const { rows } = await target.query('FETCH 5000 FROM changed')
    if (rows.length === 0) break
    for (const [name, keys] of groupByRelation(rows as ChangedRow[])) yield { relation: name, keys }
  }
  await target.query('CLOSE changed')
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

interface Ended {
  readonly at: Lsn
  readonly files: Readonly<Record<string, string>>
  readonly epoch: bigint
  readonly equal: boolean
  readonly wasWhole: boolean
}

/**
 * There is nothing to go on with any more; where both sides were equal, only later changes are of interest from here
 * on. Refused once another mover has taken over: it may not have recorded the keys that this comparison would let it
 * forget.
 */
async function recordEnd(control: Session, key: FlowKey, { at, files, epoch, equal, wasWhole }: Ended): Promise<void> {
  const { move, direction } = key
  await control.query('BEGIN')
  if (equal) {
    const { rowCount } = await control.query(
      `UPDATE replatform.flow SET compared_at = $3, compared_files = $4 WHERE move = $1 AND direction = $2 AND epoch = $5`,
      [move, direction, formatLsn(at), JSON.stringify(files), epoch],
    )
    requireEpoch(rowCount, key)
    await control.query('DELETE FROM replatform.changed WHERE move = $1 AND direction = $2 AND position < $3', [
      move,
      direction,
      formatLsn(at),
    ])
  }
  if (wasWhole || equal) await forgetProgress(control, key)
  await control.query('COMMIT')
}

interface Sessions extends AsyncDisposable {
  /** What is read of the source: its replica where that is asked for. */
  readonly source: Session
  readonly target: Session
  /** The source itself. */
  readonly primary: Session
  /** To the target too, for what is kept there meanwhile. */
  readonly control: Session
}

/** At once, since connecting is what takes the time in a write pause. */
async function openBoth(open: OpenOptions, isByReplica: boolean): Promise<Sessions> {
  const session = (side: Side, url = open[side].url) =>
    openSession({ endpoint: { ...open[side], url }, side, move: open.move, role: 'compare' })
  const opening = [
    session('source', isByReplica ? open.source.replica : undefined),
    session('target'),
    session('target'),
    ...(isByReplica ? [session('source')] : []),
  ]
  const opened = await Promise.allSettled(opening)
  const sessions = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const close = async () => {
    for (const each of sessions) await closeSession(each)
  }
  const failed = opened.find((each) => each.status === 'rejected')
  if (failed) {
    await close()
    throw failed.reason
  }
  const [source, target, control, primary = source] = sessions as [Session, Session, Session, Session?]
  return { source, target, control, primary, [Symbol.asyncDispose]: close }
}
