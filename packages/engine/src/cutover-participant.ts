import type { Barrier, CompareOptions, Decision, Remaining } from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Side } from '@replatform/core/move'
import type { Routing } from '@replatform/core/routing'

/** The verbs of a mover that a coordinator calls, across the process boundary, bound to one direction. */
export interface FlowVerbs {
  prepareFlow(): Promise<unknown>
  raiseEpoch(): Promise<unknown>
  fence(side: Side, limits: FenceLimits): Promise<unknown>
  unfence(side: Side, turn: Pick<FenceLimits, 'turn'>): Promise<unknown>
  barrier(): Promise<Barrier>
  remaining(barrier: Barrier): Promise<Remaining>
  compare(options: Pick<CompareOptions, 'scope' | 'at'>): Promise<CompareReport>
  settleAhead(options: { readonly pauseMs: number }): Promise<unknown>
  settle(): Promise<unknown>
  markStart(): Promise<unknown>
  recordDecision(decision: Decision): Promise<unknown>
  cleanUp(scope: 'stream' | 'everything'): Promise<unknown>
}

/** One move of a wave, as the coordinator sees it. */
export interface CutoverParticipant {
  readonly name: string
  /** The way data flows now: its source is fenced, its target is opened. */
  readonly flow: FlowVerbs
  /** The way back, which follows after the decision. */
  readonly back: FlowVerbs
  /** Ends the run of the flow at a durable point; idempotent. The caller of the cutover starts what follows. */
  stop(): Promise<unknown>
  /** Ends its mover at once, whatever it is doing; the next verb starts another. */
  kill(): Promise<unknown>
  readonly routings: readonly Routing[]
}
