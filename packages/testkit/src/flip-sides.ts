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

/** A cutover, or with `reverse` a rollback, of a mover in a process of its own. */
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
  return cutOverAlone({ participant, direction, budgetMs })
}

export interface AloneOptions {
  readonly participant: CutoverParticipant
  readonly direction: Direction
  readonly budgetMs: number
  /** What is decided where nothing went wrong; what goes wrong aborts in any case. */
  readonly outcome?: Decision['outcome']
}

/** One move by the engine's own coordinator, under a turn of its own. Its decision is kept in memory. */
export function cutOverAlone({ participant, direction, budgetMs, outcome }: AloneOptions): Promise<CutoverOutcome> {
  let decided: Decision | undefined
  const wished = (decision: Decision) =>
    outcome === undefined || decision.outcome === 'aborted' ? decision : { ...decision, outcome }
  return cutOver({
    id: `${direction}-${performance.now()}`,
    direction,
    turn: ++turns,
    budgetMs,
    participants: [participant],
    decisions: {
      read: async () => decided,
      decide: async (decision) => (decided ??= wished(decision)),
    },
    journal: { started() {}, finished() {}, failed() {} },
    clock: systemClock,
  })
}
