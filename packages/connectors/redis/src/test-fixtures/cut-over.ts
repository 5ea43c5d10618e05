/** A cutover of one move between the sides of a rig, by the engine's own coordinator, with movers in this process. */
import type { Decision, Mover } from '@replatform/core/connector'
import { systemClock } from '@replatform/engine/clock'
import { type CutoverOutcome, cutOver } from '@replatform/engine/cutover'
import { directFlow } from '@replatform/engine/direct-flow'
import type { SlotRig } from './slot-rig.ts'

export interface CutOverOptions {
  readonly rig: Pick<SlotRig, 'createMover'>
  readonly mover: Mover
  /** Ends following. */
  readonly following: { stop(): Promise<void> }
  readonly outcome: Decision['outcome']
}

/** A later cutover has a higher turn. */
let turns = 0

export async function cutOverMove({ rig, mover, following, outcome }: CutOverOptions): Promise<CutoverOutcome> {
  await using back = rig.createMover('reverse')
  let decided: Decision | undefined
  return await cutOver({
    id: `one-${outcome}`,
    direction: 'forward',
    turn: ++turns,
    budgetMs: 30_000,
    participants: [
      {
        name: 'cache',
        flow: directFlow(mover),
        back: directFlow(back),
        stop: () => following.stop(),
        kill: async () => {},
        routings: [],
      },
    ],
    decisions: {
      read: async () => decided,
      // What goes wrong must abort, whatever outcome is wished for.
      decide: async (decision) => (decided ??= decision.outcome === 'aborted' ? decision : { ...decision, outcome }),
    },
    journal: { started() {}, finished() {}, failed() {} },
    clock: systemClock,
  })
}
