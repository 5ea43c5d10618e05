import { directionOf, nextVerb } from '@replatform/core/move'
import type { EstateStatus, MoveStatus } from './api-types.ts'
import { cutoverStatus } from './cutover-status.ts'
import type { Hosting } from './hosting.ts'
import type { MoveRecord } from './move-records.ts'
import type { Services } from './services.ts'

/** Everything that is known now. What only a mover knows is null for moves that another worker hosts. */
export async function estateStatus(
  services: Services,
  hosting: Hosting,
  worker: EstateStatus['worker'],
): Promise<EstateStatus> {
  const { estate, moves } = services
  const records = (await moves.list()).filter(({ name }) => name in estate.stores)
  const statuses = await Promise.all(records.map((record) => moveStatus(services, hosting, record)))
  return { estate: estate.estate, worker, moves: statuses }
}

async function moveStatus(services: Services, hosting: Hosting, record: MoveRecord): Promise<MoveStatus> {
  const { name, route, state, paused, lastCompare } = record
  const supervisor = hosting.get(name)?.supervisor
  const cutover = await services.cutovers.last(name)
  return {
    name,
    route,
    state,
    direction: directionOf(state) ?? null,
    paused,
    step: supervisor?.progress.step ?? null,
    load: supervisor?.progress.load() ?? null,
    follow: supervisor?.progress.follow() ?? null,
    lastCompare,
    lastCutover: cutover ? await cutoverStatus(services, cutover) : null,
    mover: supervisor?.mover ?? null,
    next: nextOf(record),
  }
}

function nextOf({ state, paused, shouldRun }: MoveRecord): string | null {
  if (paused) return 'resume'
  if (state === 'planned' && shouldRun) return null
  return nextVerb(state) ?? null
}
