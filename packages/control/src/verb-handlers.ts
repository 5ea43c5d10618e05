import type { CompareReport } from '@replatform/core/difference'
import { invariant, ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import { type Direction, directionOf, type MoveState } from '@replatform/core/move'
import type { OperationVerb } from './api-types.ts'
import { cutOver } from './cutover-beginning.ts'
import type { HostedMove } from './hosted-move.ts'
import type { HostedWave } from './hosted-wave.ts'
import type { Performed } from './operation-performing.ts'
import type { OperationRecord } from './operation-records.ts'
import { StepRunner } from './operation-steps.ts'
import { isoNow } from './services.ts'

/** Performs one verb; the state of the move was found to allow it. Idempotent: a crash may make it come again. */
type Handler = (move: HostedMove, operation: OperationRecord, context: Context) => Promise<Performed>

interface Context {
  readonly steps: StepRunner
  readonly wave: HostedWave
}

const nothing: Performed = { result: { kind: 'none' } }

export function performVerb(move: HostedMove, operation: OperationRecord, wave: HostedWave): Promise<Performed> {
  const { journal, clock } = move.services
  const { verb } = operation
  invariant(verb !== 'rehearse', 'Only a wave is rehearsed.')
  return handlers[verb](move, operation, {
    steps: new StepRunner(journal, clock, operation, move.name),
    wave,
  })
}

const handlers: Record<Exclude<OperationVerb, 'rehearse'>, Handler> = {
  assess: async (move, _, { steps }) => ({ result: { kind: 'findings', findings: await assess(move, steps) } }),
  start,
  compare,
  cutover: (move, operation, { wave }) => cutOver({ wave, moves: [move], operation, direction: 'forward' }),
  rollback: (move, operation, { wave }) => cutOver({ wave, moves: [move], operation, direction: 'reverse' }),
  finalize: (move, _, { steps }) => giveUp(move, steps, ['forward', 'reverse'], 'finalized'),
  cancel: (move, _, { steps }) => giveUp(move, steps, wasStarted(move) ? ['reverse', 'forward'] : [], 'cancelled'),
  pause,
  resume,
  throttle,
}

async function assess(move: HostedMove, steps: StepRunner): Promise<Finding[]> {
  const stores = await steps.do('assess-stores', () => assessStores(move))
  const routings = await steps.do('assess-routing', () => assessRoutings(move))
  return [...stores, ...routings]
}

/** Changes nothing on either side, nor at the switchover points. */
export async function assessMove(move: HostedMove): Promise<Finding[]> {
  return [...(await assessStores(move)), ...(await assessRoutings(move))]
}

async function assessStores(move: HostedMove): Promise<Finding[]> {
  const findings = await move.supervisor.call('assess', { direction: 'forward' })
  await move.supervisor.closeWhenIdle()
  return findings
}

async function assessRoutings({ services, store }: HostedMove): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const routing of await services.connectors.createRoutings(store)) {
    await using open = routing
    findings.push(...(await open.assess()))
  }
  return findings
}

async function start(move: HostedMove, _operation: OperationRecord, { steps }: Context): Promise<Performed> {
  const { moves } = move.services
  const findings = await assess(move, steps)
  const result = { kind: 'findings', findings } as const
  const blockers = findings.filter(({ severity }) => severity === 'blocker').map(({ id }) => id)
  if (blockers.length > 0) {
    const message = `${move.name}: ${blockers.join(', ')} must be resolved first.`
    return { result, error: new ReplatformError('assessment.blocked', { message }) }
  }
  await steps.do('begin', async () => {
    if (move.record.state === 'cancelled') await move.update(moves.renew(move.name))
    await move.update(moves.run(move.name))
    move.startIfWanted()
  })
  return { result }
}

async function compare(move: HostedMove, _operation: OperationRecord, { steps }: Context): Promise<Performed> {
  const { moves, clock } = move.services
  const direction = directionOf(move.record.state) ?? 'forward'
  const report: CompareReport = await steps.do('compare', () =>
    move.supervisor.call('compare', { direction, scope: 'all', at: 'live' }),
  )
  move.supervisor.progress.setStep(null)
  await move.update(moves.recordCompare(move.name, report, isoNow(clock)))
  return { result: { kind: 'compare', report } }
}

/** Takes away what the move put on both sides, in an order that leaves the flow in use for last or first. */
export async function giveUp(
  move: HostedMove,
  steps: StepRunner,
  order: readonly Direction[],
  end: MoveState,
): Promise<Performed> {
  const { moves } = move.services
  // Should this fail or be killed half-way, the move must not be found running on what is left.
  await move.recordPause(`It is being ${end}.`, null)
  await steps.do('stop-flow', () => move.supervisor.stop())
  for (const direction of order) {
    await steps.do(`clean-up-${direction}`, () => move.supervisor.call('cleanUp', { direction, scope: 'everything' }))
  }
  await steps.do('close', async () => {
    await move.supervisor.close()
    await move.update(moves.transition(move.name, end))
    await move.update(moves.end(move.name))
    await move.services.intents.forget(move.name)
  })
  return nothing
}

/** A move that never began left nothing behind, and must be cancellable when neither side answers. */
function wasStarted({ record }: HostedMove): boolean {
  return record.state !== 'planned' || record.shouldRun || record.paused !== null
}

async function pause(move: HostedMove, operation: OperationRecord, { steps }: Context): Promise<Performed> {
  await move.recordPause(`${operation.actor} paused it.`, null)
  await steps.do('stop-flow', () => move.supervisor.close())
  return nothing
}

/** What is allowed stands in the record already; a mover that is started later is told when it begins. */
async function throttle(move: HostedMove, _operation: OperationRecord, { steps }: Context): Promise<Performed> {
  await move.reload()
  await steps.do('throttle', async () => move.supervisor.limit())
  return nothing
}

/** A cutover that was left open is ended for all its moves at once: there is one decision. */
async function resume(move: HostedMove, _operation: OperationRecord, { steps, wave }: Context): Promise<Performed> {
  const { moves, cutovers } = move.services
  const cutover = await cutovers.unfinished(move.name)
  if (!cutover) {
    await move.update(moves.run(move.name))
    await steps.do('begin', async () => move.startIfWanted())
    return nothing
  }
  for (const { name } of cutover.moves) await wave.move(name).update(moves.run(name))
  return steps.do('end-cutover', () => wave.recover(cutover))
}
