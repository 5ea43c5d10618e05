import type { SessionsVerdict } from './sessions-stage.ts'
import type { FeltPause, JudgeVerdict, LoadLine } from './stage.ts'

/** One document that says how the demo ended. */
export interface DemoVerdict {
  /** `clean`, or the gravest thing that the judge found. */
  readonly verdict: string
  /** Payments that were asked for. */
  readonly payments: number
  readonly lost: number
  readonly doubled: number
  /** Outcomes that no retry could settle. */
  readonly unknown: number
  /** What payments felt around the three cutovers: 99th percentile of their latency, longest gap between two of them. */
  readonly writePauseMs: { readonly p99: number; readonly max: number }
  /** As the coordinator saw it, from the first hold to the release. */
  readonly cutovers: readonly { readonly name: string; readonly pauseMs: number | null; readonly felt: FeltPause }[]
  readonly rowsMoved: number
  readonly bytesMoved: number
  readonly seconds: number
  readonly load: LoadLine
  readonly judge: JudgeVerdict
  /** Codes, sessions and remembered answers, each held against its deadline. */
  readonly sessions: SessionsVerdict
}

export function isClean({ verdict, lost, doubled }: DemoVerdict): boolean {
  return verdict === 'clean' && lost === 0 && doubled === 0
}
