/** A cutover of one move between the sides of a rig, with movers in this process. */
import type { Decision, Mover } from '@replatform/core/connector'
import type { CutoverOutcome } from '@replatform/engine/cutover'
import { directFlow } from '@replatform/engine/direct-flow'
import { cutOverAlone } from '@replatform/testkit/flip-sides'
import type { SlotRig } from './slot-rig.ts'

export interface CutOverOptions {
  readonly rig: Pick<SlotRig, 'createMover'>
  readonly mover: Mover
  /** Ends following. */
  readonly following: { stop(): Promise<void> }
  readonly outcome: Decision['outcome']
}

export async function cutOverMove({ rig, mover, following, outcome }: CutOverOptions): Promise<CutoverOutcome> {
  await using back = rig.createMover('reverse')
  const participant = {
    name: 'cache',
    flow: directFlow(mover),
    back: directFlow(back),
    stop: () => following.stop(),
    kill: async () => {},
    routings: [],
  }
  return await cutOverAlone({ participant, direction: 'forward', budgetMs: 30_000, outcome })
}
