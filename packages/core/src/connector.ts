/**
 * The connector contract: what a route declares, and the few verbs of a mover.
 *
 * A mover sees a *flow*: it reads its `source` and writes its `target`. For reverse replication the same route is
 * opened with `direction: 'reverse'` and the two endpoints exchanged, so that a rollback is a cutover the other way
 * and no verb has a second form.
 */
import type { CompareReport } from './difference.ts'
import type { SchemaChanges, StoreKind, TableFilter } from './estate.ts'
import type { FenceLimits } from './fence-order.ts'
import type { Finding } from './finding.ts'
import type { Direction, Side } from './move.ts'
import type { Position } from './position.ts'

export interface RouteDeclaration {
  /**
   * `chunks`: read in pieces at one snapshot. `stream`: the change stream itself carries the data, so that there is one
   * chunk, which begins anew when it was interrupted, and opens the stream that `follow` goes on with. `none`: queues.
   */
  readonly load: 'chunks' | 'stream' | 'none'
  /**
   * From when on changes are received. `after-load`: by `follow`, from the point that the load began at. `with-load`:
   * by the load itself, which keeps them for `follow`. `polled`: the source has no change stream and is asked again.
   */
  readonly follow: 'after-load' | 'with-load' | 'polled'
  /** What refuses a superseded writer: the target's transaction, the batch, or credentials of the epoch. */
  readonly epoch: 'transaction' | 'batch' | 'credentials'
  readonly fence: { readonly source: boolean; readonly target: boolean }
  readonly delivery: 'exactly-once' | 'at-least-once'
  readonly reverse: 'stream' | 'resync' | 'drain' | 'none'
  /** Whether the move joins the write pause of its wave, or trails it and reports when it is level. */
  readonly pause: 'joins' | 'trails'
}

export interface Route {
  readonly source: StoreKind
  readonly target: StoreKind
  readonly declares: RouteDeclaration
  /** Connects to nothing yet: the verbs do, so that each can fail with its own error. */
  open(options: OpenOptions): Mover
}

/** One side of a flow, its secrets resolved. Never logged, never serialized. */
export interface Endpoint {
  readonly kind: StoreKind
  readonly url: string
  /** Managed service behind the address (`rds` …), where there is one. */
  readonly service?: string | undefined
  /** Address of a standby of this side, to be read by comparisons while payments go on. */
  readonly replica?: string | undefined
  /** Which tables are there for the move; all of them where nothing is said. The same on both sides. */
  readonly tables?: TableFilter | undefined
}

export interface OpenOptions {
  readonly move: string
  readonly direction: Direction
  readonly source: Endpoint
  readonly target: Endpoint
  /** Programs named in the estate, by name (`pg_dump`). */
  readonly tools: Readonly<Record<string, string>>
  /** How many chunks are loaded, and how many indexes are built, at once. */
  readonly workers: number
  /** The file with the plan of a broker's topology, as an absolute path, where the estate names one. */
  readonly topology?: string | undefined
  /** Where changes are kept while a load goes on, so that the source need not: a folder on this machine. */
  readonly spool?: { readonly folder: string } | undefined
  /** What becomes of changes of the schema that are made while the move runs; `stop` where nothing is said. */
  readonly schemaChanges?: SchemaChanges | undefined
  readonly log: Log
}

/** The part of a pino logger that libraries use. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** A piece of the full load whose completion mark commits together with its data. */
export interface Chunk {
  /** Unique within the move and the same after a restart. */
  readonly id: string
  /** Table, keyspace or collection that progress is shown under. */
  readonly group: string
  /** Estimated size; exact only once loaded. */
  readonly bytes: number
}

/** What a group of chunks holds, for rates and estimated times. Rows and bytes are estimates of the source. */
export interface LoadGroup {
  readonly name: string
  readonly rows: number
  readonly bytes: number
  readonly chunks: number
  /** Already on the target from an earlier run. */
  readonly done: { readonly chunks: number; readonly rows: number; readonly bytes: number }
}

export interface Loaded {
  readonly rows: number
  readonly bytes: number
}

export interface FollowProgress {
  /** Durable on the target, together with everything before it. */
  readonly position: Position
  /** Age of the oldest change that is not on the target yet; 0 when level. By the source's clock. */
  readonly lagMs: number
  /** What the source has written beyond `position`, in its own unit (bytes of log, operations, messages). */
  readonly lagBytes: number
  /** Sums since this mover began to follow. */
  readonly transactions: number
  readonly rows: number
  readonly bytes: number
}

export interface FollowOptions {
  /** Ends following at the next durable point; `follow` then resolves. */
  readonly signal: AbortSignal
  readonly report: (progress: FollowProgress) => void
  /** Awaited before each batch: slows or stops applying without losing the stream. */
  readonly throttle: () => Promise<void>
}

/** A mark on a fenced source, against which the target can be held. */
export interface Barrier {
  readonly position: Position
  /** ISO 8601, by the source's clock. */
  readonly at: string
}

/** What has not crossed yet. `exact: false` where the engine can only estimate. */
export interface Remaining {
  readonly count: number
  readonly unit: 'bytes' | 'changes' | 'messages' | 'blocks'
  readonly exact: boolean
}

export interface CompareOptions {
  /**
   * `changed`: only what was written since the last comparison that found both sides equal. A `resync` flow cannot know
   * that: it looks at everything. While both live it takes what differs as written, and predicts how long the pause will
   * take; when both are fenced it repairs what differs, looks at it again, and says how much it repaired.
   */
  readonly scope: 'all' | 'changed'
  /** `live`: the mover aligns both snapshots itself. `fenced`: both sides stand still, take what is there. */
  readonly at: 'live' | 'fenced'
  readonly signal?: AbortSignal
  readonly report?: (progress: { readonly name: string; readonly processed: number; readonly total: number }) => void
}

/** How much both sides have to do besides this move. Null where a side cannot tell. */
export interface Strain {
  /** Sessions of others that are at work on the source just now. */
  readonly sourceSessions: number | null
  /** How far the replica of the target that is furthest behind lags; 0 where all are level, null where there is none. */
  readonly replicaLagMs: number | null
}

/** The outcome of a cutover, fixed once and for ever. */
export interface Decision {
  /** Unique to one attempt of one cutover or rollback. */
  readonly id: string
  readonly outcome: 'committed' | 'aborted'
  /** ISO 8601. */
  readonly at: string
}

/**
 * Moves one store one way. Verbs are idempotent: after a crash any of them may be called again. Those that write on
 * the target refuse with `epoch.superseded` once another mover has raised the epoch.
 */
export interface Mover extends AsyncDisposable {
  /** Looks at both sides and changes nothing. */
  assess(): Promise<Finding[]>
  /**
   * Opens the change stream first, then puts the schema or topology on the target, which is fenced from here on.
   * A flow without `load` (reverse replication) opens its change stream only.
   */
  prepare(options: { readonly load: boolean }): Promise<void>
  /** What is to be loaded, in all; call before `chunks`. */
  groups(): Promise<LoadGroup[]>
  /** The chunks that are not on the target yet, in a good order to load. */
  chunks(): AsyncIterable<Chunk>
  /**
   * `progress` is told now and then what of the chunk is on the target so far, and awaited: a chunk that takes long is
   * seen, and slowed down, while it is loaded.
   */
  load(chunk: Chunk, signal: AbortSignal, progress?: (soFar: Loaded) => Promise<void>): Promise<Loaded>
  /** Indexes, constraints, replicas, refresh: what waits until the data is there. */
  finishLoad(report: (step: string) => void): Promise<void>
  /** Applies changes until the signal; raises the epoch as it begins. What it reports is durable on the target. */
  follow(options: FollowOptions): Promise<void>
  /** Looks how much both sides have to do, for whoever throttles; may be called during any verb. Null: it cannot be told. */
  strain(): Promise<Strain | null>
  /** From its return on, no earlier mover of this flow can write on the target. */
  raiseEpoch(): Promise<void>
  /**
   * After its return nobody but the mover can write on that side, however they connect and whatever they had open;
   * persistent across restarts. Fails, and leaves the side unfenced, when `withinMs` is not enough.
   *
   * `turn` is the cutover's, and grows with each. The side remembers the newest that it has seen, in the same stroke as
   * it is turned: what arrives of an earlier one, or begins late, changes nothing and rejects with `fence.superseded`;
   * see fence-order.ts. Where a store has no such stroke its route says how much time remains between look and deed.
   */
  fence(side: Side, limits: FenceLimits): Promise<void>
  /** Resolves and changes nothing where a later turn has opened the side already. */
  unfence(side: Side, turn: Pick<FenceLimits, 'turn'>): Promise<void>
  /** Marks the fenced source: every write that anybody got acknowledged lies before it. */
  barrier(): Promise<Barrier>
  remaining(barrier: Barrier): Promise<Remaining>
  compare(options: CompareOptions): Promise<CompareReport>
  /**
   * What of `settle` can be done while writes go on, so that the pause need not hold it. The pause begins next and
   * takes `pauseMs` at most; where it does not come, or is called off, the mover takes back by itself what must not stay.
   */
  settleAhead(options: { readonly pauseMs: number }): Promise<void>
  /** Carries what no change stream carries (sequences, statistics) and must be right when the target opens. */
  settle(): Promise<void>
  /**
   * Called on the mover of the way *back* while both sides are fenced: fixes the point from which it will follow, so
   * that it never returns what came over by this cutover.
   */
  markStart(): Promise<void>
  /** Copies the decision into the target. Call before the target is unfenced. */
  recordDecision(decision: Decision): Promise<void>
  /**
   * `stream`: gives up the change stream of this flow, so that the source keeps no log for it.
   * `everything`: leaves nothing of the move behind on either side and lifts the fence of neither. Tolerates absence.
   */
  cleanUp(scope: 'stream' | 'everything'): Promise<void>
}
