import type { Direction } from '@replatform/core/move'
import type { WaveVerb } from './api-types.ts'
import { cutOver } from './cutover-beginning.ts'
import type { HostedWave } from './hosted-wave.ts'
import type { Performed } from './operation-performing.ts'
import type { OperationRecord } from './operation-records.ts'
import { StepRunner } from './operation-steps.ts'
import { giveUp } from './verb-handlers.ts'
import { rehearseWave } from './wave-rehearsing.ts'
import { joining } from './wave-rules.ts'

/** Performs one verb on a wave; the states of its moves were found to allow it. Idempotent. */
type Handler = (wave: HostedWave, operation: OperationRecord) => Promise<Performed>

export function waveHandlerOf(verb: WaveVerb): Handler {
  return handlers[verb]
}

const handlers: Record<WaveVerb, Handler> = {
  cutover: (wave, operation) => cutOverMoves(wave, operation, 'forward'),
  rollback: (wave, operation) => cutOverMoves(wave, operation, 'reverse'),
  finalize,
  rehearse: rehearseWave,
}

function cutOverMoves(wave: HostedWave, operation: OperationRecord, direction: Direction): Promise<Performed> {
  return cutOver({ wave, moves: joining(wave.moves), operation, direction })
}

/** One after the other: should one fail, those before it have ended, and the next attempt goes on with it. */
async function finalize(wave: HostedWave, operation: OperationRecord): Promise<Performed> {
  const { journal, clock } = wave.services
  for (const move of wave.moves) {
    if (move.record.state === 'finalized') continue
    await giveUp(move, new StepRunner(journal, clock, operation, move.name), ['forward', 'reverse'], 'finalized')
  }
  return { result: { kind: 'none' } }
}
