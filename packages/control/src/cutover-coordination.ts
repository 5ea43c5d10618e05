import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Routing } from '@replatform/core/routing'
import {
  type CutoverOptions,
  type CutoverOutcome,
  cutOver,
  recoverCutover,
  type StepJournal,
} from '@replatform/engine/cutover'
import type { CutoverParticipant } from '@replatform/engine/cutover-participant'
import type { CutoverStatus } from './api-types.ts'
import { CutoverGuard } from './cutover-guard.ts'
import { CutoverJournal } from './cutover-journal.ts'
import { participantOf } from './cutover-participants.ts'
import type { CutoverRecord } from './cutover-records.ts'
import { cutoverStatus } from './cutover-status.ts'
import type { HostedMove } from './hosted-move.ts'
import type { HostedWave } from './hosted-wave.ts'
import { keepTrying } from './keep-trying.ts'
import { isoNow, type Services } from './services.ts'

export interface CutoverEnding {
  readonly outcome: CutoverOutcome
  readonly status: CutoverStatus
}

export type Procedure = (options: CutoverOptions) => Promise<CutoverOutcome>
export const begin: Procedure = cutOver
export const recover: Procedure = recoverCutover

/** Takes a cutover whose record stands to its end and closes the record. Throws when a person has to look first. */
export async function endCutover(
  wave: HostedWave,
  moves: readonly HostedMove[],
  cutover: CutoverRecord,
  procedure: Procedure,
): Promise<CutoverEnding> {
  const { services } = wave
  const ended = await alreadyEnded(services, cutover)
  if (ended) return ended
  const { id, direction, turn, budgetMs } = cutover
  const journal = new CutoverJournal(services.journal, services.clock, cutover)
  await using routings = new AsyncDisposableStack()
  const guard = procedure === begin ? await startGuard(wave, moves, cutover) : null
  try {
    const participants: CutoverParticipant[] = []
    for (const { name, store, supervisor } of moves) {
      const own = openedIn(routings, await services.connectors.createRoutings(store))
      participants.push(participantOf({ name, direction, budgetMs, supervisor, routings: own }))
    }
    const { declared } = wave.wave
    const gateways = declared && cutover.wave ? await services.connectors.createGateways(declared) : []
    const { decisions, clock } = services
    const outcome = await procedure({
      id,
      direction,
      turn,
      budgetMs,
      participants,
      gateways: openedIn(routings, gateways),
      decisions,
      journal: watched(services, cutover, journal, guard),
      clock,
      isOurs: async () => (await services.cutovers.find(id))?.outcome == null,
    })
    guard?.end()
    const end = {
      outcome: outcome.decision.outcome,
      pauseMs: outcome.pauseMs === null ? null : Math.round(outcome.pauseMs),
    }
    await flush(services, journal)
    if (cutover.outcome === null) await keepTrying(clock, () => services.cutovers.end(cutover, end))
    const status = await keepTrying(clock, () => cutoverStatus(services, { ...cutover, ...end }))
    return { outcome, status }
  } catch (thrown) {
    leaveTo(guard, thrown)
    throw thrown
  } finally {
    await flush(services, journal)
  }
}

/** A request that is delivered again after its cutover has ended is told how; what came later must not be undone. */
async function alreadyEnded(services: Services, { id }: CutoverRecord): Promise<CutoverEnding | null> {
  const record = await keepTrying(services.clock, () => services.cutovers.find(id))
  if (record?.outcome == null) return null
  const decision = (await services.decisions.read(id)) ?? { id, outcome: record.outcome, at: '' }
  const message = 'The cutover was aborted before its decision.'
  const error = record.outcome === 'aborted' ? new ReplatformError('cutover.aborted', { message }) : null
  return { outcome: { decision, pauseMs: record.pauseMs, error }, status: await cutoverStatus(services, record) }
}

/** Without a guard a coordinator that dies leaves writes held until the next worker comes; that is no reason to stop. */
async function startGuard(
  { services, wave }: HostedWave,
  hosted: readonly HostedMove[],
  cutover: CutoverRecord,
): Promise<CutoverGuard | null> {
  const { guard, estate, log } = services
  if (!guard) return null
  const { spawn, ...where } = guard
  const { id, direction, turn, budgetMs } = cutover
  const moves = hosted.map(({ name, store }) => ({ name, store, tools: estate.tools ?? {} }))
  const order = { id, direction, turn, budgetMs, moves, wave: cutover.wave ? wave.declared : null, ...where }
  try {
    const started = await CutoverGuard.start(spawn(), order)
    started.onGone(() => void alarm(services, `The guard of the cutover of ${wave.name} is gone`))
    return started
  } catch (thrown) {
    log.error({ wave: wave.name, err: thrown }, 'The cutover has no guard.')
    return null
  }
}

/** From now on nobody would open the sources if this worker died: they would stay fenced until a takeover. */
async function alarm({ incidents, clock, log }: Services, title: string): Promise<void> {
  log.error({}, `${title}: should this worker die too, sources stay fenced until another takes over.`)
  const incident = { severity: 'severe', title, openedBy: 'replatform', openedAt: isoNow(clock) } as const
  await incidents.open(incident).catch((thrown) => log.error({ err: thrown }, 'The incident was not recorded.'))
}

/** Where we cannot end it the guard tries, rather than a person who has to be woken up; unless another has ended it. */
export function leaveTo(guard: CutoverGuard | null, failure: unknown): void {
  if (toReplatformError(failure).code.endsWith('.superseded')) guard?.end()
  else guard?.takeOver()
}

/** The guard is armed before anything is held. */
function watched(
  { onStep }: Services,
  { id }: CutoverRecord,
  journal: CutoverJournal,
  guard: CutoverGuard | null,
): StepJournal {
  return {
    started: async (step) => {
      if (step.name === 'hold') await guard?.arm()
      journal.started(step)
      onStep({ cutover: id, when: 'before', step: step.name })
    },
    finished: (step, ms) => {
      journal.finished(step, ms)
      onStep({ cutover: id, when: 'after', step: step.name })
    },
    failed: (step, error) => {
      journal.failed(step, error)
      onStep({ cutover: id, when: 'after', step: step.name })
    },
  }
}

async function flush({ log }: Services, journal: CutoverJournal): Promise<void> {
  const failure = await journal.flush()
  if (failure) log.warn({ err: failure }, 'Steps of the cutover were not journalled.')
}

function openedIn(stack: AsyncDisposableStack, routings: readonly Routing[]): readonly Routing[] {
  for (const routing of routings) {
    stack.defer(async () => {
      // Whatever a connection says at its end, the cutover has its outcome.
      await routing[Symbol.asyncDispose]().then(undefined, () => {})
    })
  }
  return routings
}
