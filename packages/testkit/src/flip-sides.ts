import type { Decision } from '@replatform/core/connector'
import type { Direction } from '@replatform/core/move'
import { calledFlow } from '@replatform/engine/called-flow'
import { systemClock } from '@replatform/engine/clock'
import { type CutoverOutcome, cutOver } from '@replatform/engine/cutover'
import type { CutoverParticipant, FlowVerbs } from '@replatform/engine/cutover-participant'
import type { TestMover } from './mover-process.ts'

export interface FlipOptions {
  readonly mover: TestMover
  readonly direction: Direction
  readonly budgetMs?: number
  /** Verbs of the flow that do something else, for faults. */
  readonly overrides?: Partial<FlowVerbs>
}

/** A later cutover has a higher turn. */
let turns = 0

/** A cutover, or with `reverse` a rollback, of one move by the engine's own coordinator. Its decision is kept in memory. */
export async function flipSides(options: FlipOptions): Promise<CutoverOutcome> {
  const { mover, direction, budgetMs = 10_000, overrides = {} } = options
  const participant: CutoverParticipant = {
    name: 'flipped',
    flow: { ...calledFlow(mover.client, direction), ...overrides },
    back: calledFlow(mover.client, direction === 'forward' ? 'reverse' : 'forward'),
    stop: () => mover.client.call('stop', {}),
    kill: () => mover.kill(),
    routings: [],
  }
  let decided: Decision | undefined
  return cutOver({
    id: `${direction}-${performance.now()}`,
    direction,
    turn: ++turns,
    budgetMs,
    participants: [participant],
    decisions: {
      read: async () => decided,
      decide: async (decision) => (decided ??= decision),
    },
    journal: { started() {}, finished() {}, failed() {} },
    clock: systemClock,
  })
}
