import type { SimStore } from './sim-store.ts'
import type { World } from './world.ts'

/**
 * A client of each store that writes through the pooler, one row after the other, and tries each until it is
 * acknowledged: with the same key, since after a lost answer it does not know.
 */
export class Client {
  readonly #world: World
  readonly #store: SimStore
  #written = 0
  served = 0
  #hasStopped = false

  constructor(world: World, store: SimStore) {
    this.#world = world
    this.#store = store
    this.#next()
  }

  stop(): void {
    this.#hasStopped = true
  }

  #next(): void {
    if (this.#hasStopped) return
    const row = `${this.#store.name}/${this.#written++}`
    this.#after(this.#world.random.between(5, 60), () => this.#send(row))
  }

  #send(row: string): void {
    const { pooler } = this.#store
    if (pooler.isHeld) pooler.waiting.push(() => this.#dispatch(row))
    else this.#dispatch(row)
  }

  #dispatch(row: string): void {
    const { pooler } = this.#store
    pooler.inFlight += 1
    const place = pooler.place
    this.#after(this.#world.random.between(0.1, 2), () => {
      const isWritten = this.#write(row, place)
      this.#after(this.#world.random.between(0.1, 1), () => {
        pooler.inFlight -= 1
        const isTold = isWritten && !this.#world.faults.isLost()
        if (!isTold) return this.#after(this.#world.random.between(20, 100), () => this.#send(row))
        this.#store.acknowledged.add(row)
        this.served += 1
        this.#next()
      })
    })
  }

  #write(row: string, place: 'old' | 'new'): boolean {
    const side = this.#store.side(place)
    if (!side.server.isUp || side.isFenced) return false
    if (!side.rows.has(row)) side.add(row)
    return true
  }

  /** Nobody's promise hangs on what a client does. */
  #after(ms: number, act: () => void): void {
    this.#world.scheduler.after(ms, act, true)
  }
}
