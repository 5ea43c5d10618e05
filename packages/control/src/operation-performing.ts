import { type ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { OperationResult, WaveVerb } from './api-types.ts'
import type { HostedWave } from './hosted-wave.ts'
import { keepTrying } from './keep-trying.ts'
import type { OperationRecord } from './operation-records.ts'
import { isFulfilled, requireAllowed } from './operation-rules.ts'
import { subjectOf } from './operation-subject.ts'
import { isoNow, type Services } from './services.ts'
import { performVerb } from './verb-handlers.ts'
import { waveHandlerOf } from './wave-handlers.ts'
import { isWaveFulfilled, requireAlone, requireWaveAllowed } from './wave-rules.ts'

/** What an operation came to. Both are set where a failure has something to show, such as findings that block. */
export interface Performed {
  readonly result: OperationResult
  readonly error?: ReplatformError
}

const nothing: Performed = { result: { kind: 'none' } }

/** Idempotent: a crash may make the same operation come again. Does not throw: a failure is part of the answer. */
export async function performOperation(wave: HostedWave, operation: OperationRecord): Promise<Performed> {
  try {
    const { cutovers, clock } = wave.services
    const earlier = await keepTrying(clock, () => cutovers.find(operation.id))
    for (const move of wave.moves) await keepTrying(clock, () => move.reload())
    if (earlier) return await wave.recover(earlier)
    return operation.move === null ? await performOnWave(wave, operation) : await performOnMove(wave, operation)
  } catch (thrown) {
    return { ...nothing, error: toReplatformError(thrown) }
  }
}

/** Records the end once; only the first counts. Waits for a control database that is away, until the signal. */
export async function finishOperation(
  services: Services,
  id: string,
  { result, error }: Performed,
  signal?: AbortSignal,
): Promise<void> {
  const { operations, audit, clock } = services
  const at = isoNow(clock)
  const end = { result, error: error?.toJSON() ?? null, at }
  const isFirst = await keepTrying(clock, () => operations.finish(id, end), signal)
  const operation = await keepTrying(clock, () => operations.get(id), signal)
  // Not the first may mean that only the answer was lost.
  if (!isFirst && operation.finishedAt !== at) return
  const { verb, actor } = operation
  const detail = error ? `${error.code}: ${error.message}` : summary(result)
  const entry = { at, actor, verb, move: subjectOf(operation), outcome: error ? 'failed' : 'done', detail } as const
  await keepTrying(clock, () => audit.append(entry), signal)
}

async function performOnMove(wave: HostedWave, operation: OperationRecord): Promise<Performed> {
  const move = wave.move(operation.move ?? '')
  if (isFulfilled(operation.verb, move.record)) return nothing
  requireAllowed(operation.verb, move.record)
  requireAlone(operation.verb, move.name, wave.wave, wave.moves)
  return performVerb(move, operation, wave)
}

async function performOnWave(wave: HostedWave, operation: OperationRecord): Promise<Performed> {
  const records = wave.moves.map(({ record }) => record)
  const verb = operation.verb as WaveVerb
  if (isWaveFulfilled(verb, records)) return nothing
  requireWaveAllowed(verb, wave.wave, wave.moves)
  return waveHandlerOf(verb)(wave, operation)
}

function summary(result: OperationResult): string {
  switch (result.kind) {
    case 'findings':
      return `${result.findings.length} findings`
    case 'compare':
      return result.report.equal ? 'equal' : 'different'
    case 'cutover':
      return `${result.cutover.outcome}, write pause ${Math.round(result.cutover.pauseMs ?? 0)} ms`
    case 'rehearsal':
      return `${result.report.passed ? 'passed' : 'not passed'}, predicted pause ${result.report.prediction.ms} ms`
    case 'preview':
    case 'none':
      return ''
  }
}
