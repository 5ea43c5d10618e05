import type { EventsVerdict } from './events-stage.ts'
import type { JudgeVerdict } from './ledger-stage.ts'
import type { FeltPause, LoadLine } from './payments-load.ts'
import type { Phase } from './script.ts'
import type { SessionsVerdict } from './sessions-stage.ts'

/** One cutover or rollback as the coordinator saw it, from the first hold to the release, and as payments felt it. */
export interface FlipResult {
  readonly name: string
  readonly phase: Phase
  readonly pauseMs: number | null
  readonly predictedMs: number | null
  readonly felt: FeltPause
}

/** One document that says how the demo ended. */
export interface DemoVerdict {
  /** `clean`, or the gravest thing that a judge found. */
  readonly verdict: string
  /** Payments that were asked for. */
  readonly payments: number
  readonly lost: number
  readonly doubled: number
  /** Outcomes that no retry could settle. */
  readonly unknown: number
  /** What payments felt around all cutovers: 99th percentile of their latency, longest gap between two of them. */
  readonly writePauseMs: { readonly p99: number; readonly max: number }
  readonly cutovers: readonly FlipResult[]
  readonly rowsMoved: number
  readonly bytesMoved: number
  readonly seconds: number
  readonly load: LoadLine
  readonly judge: JudgeVerdict
  /** Codes, sessions and remembered answers, each held against its deadline. */
  readonly sessions: SessionsVerdict
  /** Every event once in effect, by consumer; null where they were not played. */
  readonly events: EventsVerdict | null
}

/** The gravest first: the ledger's, then the others'. */
export function overall(verdicts: readonly ({ readonly verdict: string } | null)[]): string {
  return verdicts.find((each) => each && each.verdict !== 'clean')?.verdict ?? 'clean'
}

export function isClean({ verdict, lost, doubled }: DemoVerdict): boolean {
  return verdict === 'clean' && lost === 0 && doubled === 0
}
