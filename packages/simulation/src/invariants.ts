import { guardSlackMs } from '@replatform/control/guard-host'
import type { Place } from '@replatform/core/routing'
import type { SimStore } from './sim-store.ts'
import type { World } from './world.ts'

/** What is known of a cutover from outside of all processes. */
export interface Watched {
  readonly id: string
  readonly budgetMs: number
  /** From the first hold on. */
  heldAt: number | null
  /** Whether a coordinator or a guard could have acted at every moment since then. */
  isWatched(): boolean
  /** What the record says. */
  outcome(): 'committed' | 'aborted' | undefined
}

type Opening = { readonly open: string; readonly place: Place | undefined }

/**
 * What a guard may need beyond the budget: its own patience, and time to get the record written on a disk that fails
 * now and then.
 */
export const slackMs = guardSlackMs + 1_500

/** Looks at the whole world after every single step. */
export class Invariants {
  readonly #world: World
  readonly #stores: readonly SimStore[]
  readonly #openings = new Map<SimStore, Opening>()
  watched: Watched | null = null

  constructor(world: World, stores: readonly SimStore[]) {
    this.#world = world
    this.#stores = stores
  }

  check(): void {
    let open: Place | undefined
    for (const store of this.#stores) {
      const { old, new: other, pooler } = store
      if (!old.isFenced && !other.isFenced) {
        this.#world.violate('one-side', `both sides of ${store.name} take writes`)
      }
      if (!pooler.isHeld && !pooler.hasLostHold && store.side(pooler.place).isFenced) {
        this.#world.violate(
          'route-open',
          `the route of ${store.name} points to its ${pooler.place} side, which is fenced`,
        )
      }
      this.#checkOpening(store)
      const place = old.isFenced ? (other.isFenced ? undefined : 'new') : 'old'
      if (place === undefined) continue
      if (open !== undefined && open !== place) {
        this.#world.violate('all-or-nothing', `${store.name} takes writes on its ${place} side, others do not`)
      }
      open = place
    }
    this.#checkPause()
  }

  /** When everything is over: decided, level, and somebody is served. */
  checkEnd(): void {
    for (const store of this.#stores) {
      const [place, ...others] = store.open()
      if (!place || others.length > 0 || store.pooler.place !== place || store.pooler.isHeld) {
        this.#world.violate('served', `${store.name} serves nobody: ${describe(store)}`)
        continue
      }
      this.#checkNothingDiscarded(store, place)
    }
    const { watched } = this
    if (watched && watched.heldAt !== null && watched.outcome() === undefined) {
      this.#world.violate('decided', `${watched.id} is undecided`)
    }
  }

  /** A side that opens has all that anybody was told is written; where it is the other one, it was decided first. */
  #checkOpening(store: SimStore): void {
    const places = store.open()
    const open = places.join()
    const before = this.#openings.get(store)
    if (before?.open === open) return
    const place = places.length === 1 ? places[0] : undefined
    this.#openings.set(store, { open, place: place ?? before?.place })
    if (!place) return
    this.#checkNothingDiscarded(store, place)
    if (before?.place && before.place !== place) this.#checkSwitched(store, place)
  }

  #checkSwitched(store: SimStore, place: Place): void {
    const { watched } = this
    const side = store.side(place)
    if (watched?.outcome() !== 'committed' || side.decisions.get(watched.id)?.outcome !== 'committed') {
      this.#world.violate(
        'decided-first',
        `${side.server.name} opens, and its decision stands not in the record and in itself`,
      )
    }
    if (side.raisedAt < store.side(place === 'new' ? 'old' : 'new').fencedAt) {
      this.#world.violate('epoch-raised', `${side.server.name} opens, and earlier followers may still write there`)
    }
    const back = side.streams.get(place === 'new' ? 'reverse' : 'forward')
    if (back?.from !== side.log.length) {
      this.#world.violate('way-back', `${side.server.name} opens, and the way back does not begin with its first write`)
    }
    if (side.sequence !== side.log.length) {
      this.#world.violate('settled', `${side.server.name} opens with sequences that are behind its rows`)
    }
  }

  #checkNothingDiscarded(store: SimStore, place: Place): void {
    const side = store.side(place)
    const row = [...store.acknowledged].find((acknowledged) => !side.rows.has(acknowledged))
    if (row === undefined) return
    this.#world.violate('nothing-discarded', `${row} was acknowledged and is not on the ${place} side`)
  }

  #checkPause(): void {
    const { watched } = this
    if (watched && watched.heldAt === null && this.#stores.some(({ pooler }) => pooler.isHeld))
      watched.heldAt = this.#world.now
    if (watched?.heldAt == null) return
    const isWatched = watched.isWatched()
    if (this.#world.now < watched.heldAt + watched.budgetMs + slackMs) return
    if (!isWatched || watched.outcome() !== undefined) return
    const ms = Math.round(this.#world.now - watched.heldAt)
    this.#world.violate(
      'pause-bounded',
      `${watched.id} holds writes for ${ms} ms, its budget is ${watched.budgetMs} ms`,
    )
  }
}

function describe({ old, new: other, pooler }: SimStore): string {
  const state = (isFenced: boolean) => (isFenced ? 'fenced' : 'open')
  const routed = `the route ${pooler.isHeld ? 'is held and ' : ''}points to ${pooler.place}`
  return `old is ${state(old.isFenced)}, new is ${state(other.isFenced)}, ${routed}`
}
