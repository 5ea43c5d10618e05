import type { Wave } from '@replatform/core/wave'
import type { GateStatus, PausePrediction } from './api-types.ts'
import { stepsTaken } from './journal.ts'
import { predictPause } from './pause-prediction.ts'
import type { Services } from './services.ts'
import { lookAtGates } from './wave-gates.ts'

export interface WavePreview {
  readonly gates: readonly GateStatus[]
  readonly prediction: PausePrediction | null
}

/** Null where a move does not follow, or is hosted by another worker. */
export type LagOf = (move: string) => number | null

/** What would happen if the wave cut over now, as far as this worker sees. Changes nothing. */
export async function previewWave(
  services: Services,
  { name, declared, moves: names }: Wave,
  lagMsOf: LagOf,
): Promise<WavePreview> {
  if (!declared) return { gates: [], prediction: null }
  const { connectors, estate } = services
  const moves = (await Promise.all(names.map((move) => services.moves.get(move)))).filter((record) => {
    const store = estate.stores[record.name]
    return store && connectors.describeRoute(store).declares.pause === 'joins'
  })
  const gates = await lookAtGates({ wave: declared, moves, lagMsOf }, services)
  const rehearsal = await services.rehearsals.last(name)
  const lags = moves.map((move) => lagMsOf(move.name)).filter((ms) => ms !== null)
  const prediction = predictPause({
    rehearsed: rehearsal?.report.steps ?? [],
    taken: await stepsOfLast(services, name),
    lagMs: lags.length === 0 ? null : Math.max(...lags),
  })
  return { gates, prediction }
}

async function stepsOfLast({ cutovers, journal }: Services, wave: string) {
  const last = await cutovers.lastCommittedOfWave(wave)
  return last ? stepsTaken([], await journal.ofOperation(last.id), true) : []
}
