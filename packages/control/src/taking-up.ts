import { wavesOf } from '@replatform/core/wave'
import type { FileCutoverIntents } from './cutover-intents.ts'
import { Hosting, offerWaves, requireWavesOfCutovers } from './hosting.ts'
import type { Jobs } from './jobs.ts'
import type { Services } from './services.ts'

export interface Taking {
  /** Cutovers that the control database may have lost; null where it loses nothing. */
  readonly lost: Pick<FileCutoverIntents, 'restore'> | null
  /** Nobody else can work by this control database. */
  readonly isAlone: boolean
  /** How many waves are hosted at once. */
  readonly most: number
}

/**
 * What a worker does with an open control database: puts back what that has lost, takes over what an earlier worker
 * left, and hosts its share. Throws `state.waves-differ`.
 */
export async function takeUp(services: Services, jobs: Jobs, { lost, isAlone, most }: Taking): Promise<Hosting> {
  const { estate, moves, cutovers, connectors, log } = services
  for (const [name, store] of Object.entries(estate.stores)) {
    await moves.ensure(name, connectors.describeRoute(store).name)
  }
  for (const { id } of (await lost?.restore(cutovers)) ?? []) {
    log.warn({ cutover: id }, 'The control database had lost a cutover; it is put back and ended.')
  }
  const waves = wavesOf(estate)
  await requireWavesOfCutovers(cutovers, waves)
  if (isAlone) await jobs.dropOrphans()
  await offerWaves(services, jobs)
  const hosting = new Hosting(services, jobs)
  const share = Math.min(most, waves.length)
  if (share > 0) await hosting.start(share)
  void hosting.remind()
  return hosting
}
