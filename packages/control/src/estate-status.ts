import { directionOf, nextVerb } from '@replatform/core/move'
import { type Wave, waveOf, wavesOf } from '@replatform/core/wave'
import type { EstateStatus, MoveStatus, WaveStatus } from './api-types.ts'
import { cutoverStatus } from './cutover-status.ts'
import type { Hosting } from './hosting.ts'
import { limitsOf } from './move-limits.ts'
import type { MoveRecord } from './move-records.ts'
import type { Services } from './services.ts'
import { previewWave } from './wave-preview.ts'

/** Everything that is known now. What only a mover knows is null for moves that another worker hosts. */
export async function estateStatus(
  services: Services,
  hosting: Hosting,
  worker: EstateStatus['worker'],
): Promise<EstateStatus> {
  const { estate, moves } = services
  const records = (await moves.list()).filter(({ name }) => Object.hasOwn(estate.stores, name))
  const statuses = await Promise.all(records.map((record) => moveStatus(services, hosting, record)))
  const waves = wavesOf(estate).map((wave) => waveStatus(services, hosting, wave, records))
  const declared = (await Promise.all(waves)).filter((wave) => wave !== null)
  return { estate: estate.estate, worker, moves: statuses, waves: declared }
}

async function moveStatus(services: Services, hosting: Hosting, record: MoveRecord): Promise<MoveStatus> {
  const { name, route, state, paused, lastCompare } = record
  const supervisor = hosting.get(name)?.supervisor
  const cutover = await services.cutovers.last(name)
  const wave = waveOf(services.estate, name)
  return {
    name,
    wave: wave.declared?.name ?? null,
    route,
    state,
    direction: directionOf(state) ?? null,
    paused,
    step: supervisor?.progress.step ?? null,
    limits: limitsOf(services.estate.stores[name], record),
    heldBy: supervisor?.progress.heldBy ?? null,
    load: supervisor?.progress.load() ?? null,
    follow: supervisor?.progress.follow() ?? null,
    lastCompare,
    lastCutover: cutover ? await cutoverStatus(services, cutover) : null,
    mover: supervisor?.mover ?? null,
    next: nextOf(record, wave),
  }
}

async function waveStatus(
  services: Services,
  hosting: Hosting,
  wave: Wave,
  all: readonly MoveRecord[],
): Promise<WaveStatus | null> {
  const { name, moves, budgetMs, declared } = wave
  if (!declared) return null
  const preview = await previewWave(services, wave, (move) => hosting.lagMsOf(move))
  const rehearsal = await services.rehearsals.last(name)
  const cutover = await services.cutovers.lastOfWave(name)
  const records = all.filter((record) => moves.includes(record.name))
  return {
    name,
    phase: declared.phase,
    moves,
    pauseBudgetMs: budgetMs,
    approver: declared.approver ?? null,
    window: declared.window ?? null,
    ...preview,
    lastRehearsal: rehearsal ? { ...rehearsal.report, at: rehearsal.at } : null,
    lastCutover: cutover ? await cutoverStatus(services, cutover) : null,
    next: nextOfWave(records),
  }
}

function nextOf({ state, paused, shouldRun }: MoveRecord, wave: Wave): string | null {
  if (paused) return 'resume'
  if (state === 'planned' && shouldRun) return null
  const verb = nextVerb(state) ?? null
  // Together with the others: see the wave.
  return wave.moves.length > 1 && verb !== 'start' ? null : verb
}

function nextOfWave(records: readonly MoveRecord[]): string | null {
  if (records.some(({ paused, shouldRun }) => paused || !shouldRun)) return null
  const verbs = new Set(records.map(({ state }) => nextVerb(state) ?? null))
  const [verb = null] = verbs
  return verbs.size === 1 && verb !== 'start' ? verb : null
}
