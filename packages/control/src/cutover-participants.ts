import type { Direction } from '@replatform/core/move'
import type { Routing } from '@replatform/core/routing'
import { calledFlow } from '@replatform/engine/called-flow'
import type { CutoverParticipant } from '@replatform/engine/cutover-participant'
import type { MoveSupervisor } from './move-supervisor.ts'

export interface ParticipantOptions {
  readonly name: string
  readonly direction: Direction
  readonly budgetMs: number
  readonly supervisor: MoveSupervisor
  readonly routings: readonly Routing[]
}

/** A move as the coordinator of a cutover drives it, through its mover process. */
export function participantOf({
  name,
  direction,
  budgetMs,
  supervisor,
  routings,
}: ParticipantOptions): CutoverParticipant {
  return {
    name,
    flow: calledFlow(supervisor, direction),
    back: calledFlow(supervisor, direction === 'forward' ? 'reverse' : 'forward'),
    // Everything is drained by then: a mover that does not answer may be killed rather than use up the budget.
    stop: () => supervisor.stop({ withinMs: budgetMs / 2 }),
    kill: () => supervisor.kill(),
    routings,
  }
}
