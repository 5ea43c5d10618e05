import { ReplatformError } from '@replatform/core/errors'
import { nextTurn } from '@replatform/core/fence-order'
import type { Direction } from '@replatform/core/move'
import type { GateStatus } from './api-types.ts'
import { begin } from './cutover-coordination.ts'
import type { HostedMove } from './hosted-move.ts'
import type { HostedWave } from './hosted-wave.ts'
import type { Performed } from './operation-performing.ts'
import type { OperationRecord } from './operation-records.ts'
import { isoNow } from './services.ts'
import { previewWave } from './wave-preview.ts'
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
  const isOfWave = isWhole(wave, moves) && wave.wave.declared !== null
  const preview = await previewWave(services, wave.wave, (move) => wave.lagMsOf(move))
  // A way back must never be barred: only the way over has gates.
  if (isOfWave && direction === 'forward') await requireGates(wave, operation, preview.gates)
  const cutover = {
    id: operation.id,
    direction,
    turn: nextTurn(await services.cutovers.lastTurn(), services.clock.wallTime()),
    wave: isOfWave ? wave.wave.name : null,
    budgetMs: direction === 'forward' ? wave.wave.budgetMs : wave.wave.rollbackBudgetMs,
    predictedMs: isOfWave ? (preview.prediction?.ms ?? null) : null,
    moves: moves.map(({ name, record }) => ({ name, stateBefore: record.state })),
    outcome: null,
    pauseMs: null,
  }
  // In this order: an intent that never began is aborted without harm, a cutover that nobody remembers is not.
  await services.intents.announce(cutover)
  await services.cutovers.begin(cutover)
  return wave.coordinate(cutover, begin)
}

/** Throws `gate.closed`, unless somebody answers for it; then what did not hold stands in the audit log. */
async function requireGates(
  { wave, services }: HostedWave,
  { actor, reason, override }: OperationRecord,
  gates: readonly GateStatus[],
): Promise<void> {
  const inTheWay = gates.filter(({ state }) => state !== 'holds')
  if (inTheWay.length === 0) return
  const what = inTheWay.map(({ name, detail }) => `${name}: ${detail}`).join('; ')
  if (!override) throw new ReplatformError('gate.closed', { message: `The wave ${wave.name} is held back. ${what}.` })
  const at = isoNow(services.clock)
  const detail = `passed although not holding: ${what}. Reason: ${reason}`
  await services.audit.append({ at, actor, verb: 'override', move: `wave ${wave.name}`, outcome: 'done', detail })
}

/** One that trails is switched behind the others, and must not hold their gateways again. */
function isWhole({ moves }: HostedWave, some: readonly HostedMove[]): boolean {
  return joining(moves).every((move) => some.includes(move)) && joining(some).length > 0
}
