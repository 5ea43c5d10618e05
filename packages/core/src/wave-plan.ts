/** Which moves belong together: those whose stores one service writes to, directly or by way of others. */
import type { Estate } from './estate.ts'

export interface ProposedWave {
  readonly name: string
  readonly phase: 'rehost' | 'replatform'
  readonly moves: readonly string[]
  /** Moves that follow the wave without joining its pause. */
  readonly trailing: readonly string[]
  readonly services: readonly string[]
  /** Why these moves belong together. */
  readonly because: readonly string[]
}

export interface WavePlan {
  /** Rehost first. */
  readonly proposed: readonly ProposedWave[]
  /** Where the waves of the estate file tear apart what services share. */
  readonly objections: readonly string[]
  /** Stores that no service names: whether they stand alone is not known. */
  readonly unclaimed: readonly string[]
}

/** `pauseOf` says whether a move joins the pause, by its route. Reads nothing but the estate. */
export function planWaves(estate: Estate, pauseOf: (move: string) => 'joins' | 'trails'): WavePlan {
  const services = Object.entries(estate.services ?? {})
  const groups = groupsOf(
    Object.keys(estate.stores),
    services.map(([, { stores }]) => stores),
  )
  const proposed = groups.map((moves) => propose(estate, moves, pauseOf))
  const inOrder = proposed.toSorted((a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase))
  const claimed = new Set(services.flatMap(([, { stores }]) => stores))
  return {
    proposed: inOrder,
    objections: objectionsTo(estate),
    unclaimed: Object.keys(estate.stores).filter((store) => !claimed.has(store)),
  }
}

const phases: readonly ProposedWave['phase'][] = ['rehost', 'replatform']

/** Stores are joined when one list names both. */
function groupsOf(stores: readonly string[], lists: readonly (readonly string[])[]): string[][] {
  const groups: Set<string>[] = []
  for (const list of [...lists, ...stores.map((store) => [store])]) {
    const touching = groups.filter((group) => list.some((store) => group.has(store)))
    const joined = new Set([...touching.flatMap((group) => [...group]), ...list])
    for (const group of touching) groups.splice(groups.indexOf(group), 1)
    groups.push(joined)
  }
  return groups.map((group) => stores.filter((store) => group.has(store)))
}

function propose(
  estate: Estate,
  moves: readonly string[],
  pauseOf: (move: string) => 'joins' | 'trails',
): ProposedWave {
  const users = Object.entries(estate.services ?? {}).filter(([, { stores }]) => stores.some((s) => moves.includes(s)))
  const because = users
    .filter(([, { stores }]) => stores.length > 1)
    .map(([service, { stores }]) => `${service} connects to ${stores.join(' and ')}`)
  // A managed service behind a target is what replatforming means; a plain server is rehosted.
  const isManaged = moves.some((move) => estate.stores[move]?.target.service !== undefined)
  return {
    name: `${moves.join('-').slice(0, 34).replace(/-+$/, '')}-wave`,
    phase: isManaged ? 'replatform' : 'rehost',
    moves,
    trailing: moves.filter((move) => pauseOf(move) === 'trails'),
    services: users.map(([service]) => service),
    because,
  }
}

function objectionsTo({ services = {}, waves = [] }: Estate): string[] {
  if (waves.length === 0) return []
  const waveOf = (store: string) => waves.find(({ moves }) => moves.includes(store))?.name ?? 'no wave'
  return Object.entries(services).flatMap(([service, { stores }]) => {
    const apart = new Set(stores.map(waveOf))
    if (apart.size < 2) return []
    const where = stores.map((store) => `${store} in ${waveOf(store)}`).join(', ')
    return [`${service} connects to stores that do not cut over together: ${where}`]
  })
}
