/** What the control API answers: the one shape that the CLI, `--json` and later the console read. */
import type { FollowProgress } from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import type { SerializedError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import type { Direction, MoveState } from '@replatform/core/move'
import type { GroupProgress } from '@replatform/engine/mover-protocol'
import type { RehearsedRouting } from '@replatform/engine/rehearsal'
import type { Limits } from '@replatform/engine/strain-watch'

export interface EstateStatus {
  readonly estate: string
  readonly worker: {
    readonly pid: number
    readonly version: string
    readonly startedAt: string
    readonly control: 'pglite' | 'postgresql'
  }
  readonly moves: readonly MoveStatus[]
  /** Those that the estate file declares, in its order. */
  readonly waves: readonly WaveStatus[]
}

export interface WaveStatus {
  readonly name: string
  readonly phase: 'rehost' | 'replatform'
  readonly moves: readonly string[]
  readonly pauseBudgetMs: number
  readonly approver: string | null
  readonly window: { readonly from: string; readonly to: string } | null
  /** Those that the estate file declares. */
  readonly gates: readonly GateStatus[]
  /** How long the pause would be now; null where nothing is known to say it by. */
  readonly prediction: PausePrediction | null
  readonly lastRehearsal: (RehearsalReport & { readonly at: string }) | null
  readonly lastCutover: CutoverStatus | null
  /** The verb that a person would type next, with --wave; null while moves are not there yet. */
  readonly next: string | null
}

export interface GateStatus {
  readonly name: 'verified' | 'rehearsed' | 'incidents' | 'lag' | 'window' | 'approval'
  /** `unknown`: it cannot be seen from this worker; the one that hosts the wave can. */
  readonly state: 'holds' | 'closed' | 'unknown'
  readonly detail: string
}

/** Steps of the pause by what is known of them, and their sum. */
export interface PausePrediction {
  readonly ms: number
  readonly parts: readonly { readonly step: string; readonly ms: number; readonly by: string }[]
}

export interface RehearsalReport {
  readonly passed: boolean
  /** Why it did not pass. */
  readonly problems: readonly string[]
  readonly steps: readonly { readonly step: string; readonly ms: number | null; readonly note: string }[]
  /** The switchover points, gateways first, each with what a client of its copy felt. */
  readonly routings: readonly RehearsedRouting[]
  readonly prediction: PausePrediction
  readonly findings: readonly Finding[]
}

export interface MoveStatus {
  readonly name: string
  /** The declared wave that it belongs to. */
  readonly wave: string | null
  /** `postgresql→postgresql`. */
  readonly route: string
  readonly state: MoveState
  readonly direction: Direction | null
  /** Set while nothing runs although the state says that something should. */
  readonly paused: { readonly reason: string; readonly error: SerializedError | null } | null
  /** What the move does just now inside its state, such as `index pgbench_accounts_pkey`. */
  readonly step: string | null
  /** What it is allowed now. */
  readonly limits: Limits
  /** Why it stands still although it could go on; null while nothing holds it. */
  readonly heldBy: string | null
  readonly load: LoadStatus | null
  readonly follow: FollowStatus | null
  readonly lastCompare: (CompareReport & { readonly finishedAt: string }) | null
  readonly lastCutover: CutoverStatus | null
  readonly mover: { readonly pid: number; readonly rssBytes: number; readonly restarts: number } | null
  /** The verb that a person would type next, or null. */
  readonly next: string | null
}

export interface LoadStatus {
  readonly groups: readonly GroupProgress[]
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
  readonly etaSeconds: number | null
}

export interface FollowStatus extends FollowProgress {
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
  /** Seconds until level at the present rates; null while not converging or already level. */
  readonly etaSeconds: number | null
}

export type OperationVerb =
  | 'assess'
  | 'start'
  | 'compare'
  | 'cutover'
  | 'rollback'
  | 'finalize'
  | 'pause'
  | 'resume'
  | 'cancel'
  | 'rehearse'
  | 'throttle'

/** What can be asked of a wave as a whole. */
export type WaveVerb = 'cutover' | 'rollback' | 'finalize' | 'rehearse'

/** One thing that somebody asked for. Answers at once with an id; the caller polls until it is not `running`. */
export interface Operation {
  readonly id: string
  readonly verb: OperationVerb
  /** What it was asked of: a move, or a wave as a whole. Exactly one is set. */
  readonly move: string | null
  readonly wave: string | null
  readonly state: 'running' | 'done' | 'failed'
  readonly startedAt: string
  readonly finishedAt: string | null
  /** For a dry run: the very steps, none of them done. */
  readonly steps: readonly StepStatus[]
  readonly result: OperationResult | null
  readonly error: SerializedError | null
}

/** An operation as a runbook tells of it. */
export interface PastOperation {
  readonly id: string
  readonly verb: OperationVerb
  readonly move: string | null
  readonly wave: string | null
  readonly state: Operation['state']
  readonly actor: string
  readonly reason: string | null
  readonly startedAt: string
  readonly finishedAt: string | null
  readonly error: string | null
}

export type OperationResult =
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] }
  | { readonly kind: 'compare'; readonly report: CompareReport }
  | { readonly kind: 'cutover'; readonly cutover: CutoverStatus }
  | { readonly kind: 'rehearsal'; readonly report: RehearsalReport }
  /** Of a dry run of a cutover. */
  | { readonly kind: 'preview'; readonly gates: readonly GateStatus[]; readonly prediction: PausePrediction | null }
  | { readonly kind: 'none' }

export interface StepStatus {
  readonly name: string
  /** What it does, in one sentence that a dry run prints. */
  readonly description: string
  readonly state: 'planned' | 'running' | 'done' | 'failed' | 'skipped'
  readonly startedAt: string | null
  readonly ms: number | null
}

export interface CutoverStatus {
  readonly id: string
  readonly direction: Direction
  readonly outcome: 'committed' | 'aborted' | 'undecided'
  /** From the first hold to the release; null until it has ended. */
  readonly pauseMs: number | null
  readonly budgetMs: number
  /** What the pause was predicted to be when it began. */
  readonly predictedMs: number | null
  readonly steps: readonly StepStatus[]
}

export interface OperationRequest {
  readonly dryRun?: boolean
  /** Who asked, for the audit log: `user@host`. */
  readonly actor: string
  readonly reason?: string
  /** Cuts a wave over although gates do not hold; needs a reason. */
  readonly override?: boolean
  /** Of `throttle`, and of nothing else: takes the place of what was allowed before; what is left out is not limited. */
  readonly limits?: { readonly [Limit in keyof Limits]?: number }
}

export interface AuditEntry {
  readonly id: number
  readonly at: string
  readonly actor: string
  /** From where it was asked: the local socket, an address, or the worker itself. */
  readonly origin: string
  readonly verb: string
  readonly move: string | null
  readonly outcome: 'asked' | 'done' | 'failed' | 'refused'
  readonly detail: string
}

export interface AuditProblem {
  readonly kind: 'changed' | 'missing' | 'reordered'
  /** Of the entry, within the estate's log. */
  readonly number: number
  readonly detail: string
}

export interface AuditVerification {
  readonly intact: boolean
  readonly entries: number
  /** Written by a version that did not chain yet; nothing can be said about them. */
  readonly unchained: number
  readonly head: { readonly number: number; readonly hash: string } | null
  /** The newest entry by the file beside the database. */
  readonly anchor: { readonly number: number; readonly hash: string } | null
  /** At most a hundred. */
  readonly problems: readonly AuditProblem[]
}
