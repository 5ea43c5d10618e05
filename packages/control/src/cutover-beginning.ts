import type { Direction } from '@replatform/core/move'
import { begin } from './cutover-coordination.ts'
import type { HostedMove } from './hosted-move.ts'
import type { HostedWave } from './hosted-wave.ts'
import type { Performed } from './operation-performing.ts'
import type { OperationRecord } from './operation-records.ts'
import { joining } from './wave-rules.ts'

export interface CutoverCall {
  readonly wave: HostedWave
  readonly moves: readonly HostedMove[]
  readonly operation: OperationRecord
  readonly direction: Direction
}

/** One cutover of all these moves, by one decision. */
export async function cutOver({ wave, moves, operation, direction }: CutoverCall): Promise<Performed> {
  const { services } = wave
  const cutover = {
    id: operation.id,
    direction,
    wave: isWhole(wave, moves) ? (wave.wave.declared?.name ?? null) : null,
    budgetMs: wave.wave.budgetMs,
    moves: moves.map(({ name, record }) => ({ name, stateBefore: record.state })),
    outcome: null,
    pauseMs: null,
  }
  // In this order: an intent that never began is aborted without harm, a cutover that nobody remembers is not.
  await services.intents.announce(cutover)
  await services.cutovers.begin(cutover)
  for (const move of moves) await move.reload()
  return wave.coordinate(cutover, begin)
}

/** One that trails is switched behind the others, and must not hold their gateways again. */
function isWhole({ moves }: HostedWave, some: readonly HostedMove[]): boolean {
  return joining(moves).every((move) => some.includes(move)) && joining(some).length > 0
}
