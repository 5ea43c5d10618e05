import { type FaultName, Faults } from './faults.ts'
import { Random } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { SimProcess } from './sim-process.ts'

/** An invariant that does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: string

  constructor(invariant: string, message: string) {
    super(message)
    this.invariant = invariant
  }
}

/** What everything in one simulation shares: time, chance, faults and the story so far. */
export class World {
  readonly scheduler = new Scheduler()
  readonly random: Random
  readonly faults: Faults
  readonly story: string[] = []
  readonly #isTold: boolean
  #violation: Violation | null = null
  #ids = 0

  constructor(seed: number, { isTold = false }: { readonly isTold?: boolean } = {}) {
    this.random = new Random(seed)
    this.faults = new Faults(this.random)
    this.#isTold = isTold
  }

  get now(): number {
    return this.scheduler.now
  }

  get violation(): Violation | null {
    return this.#violation
  }

  process(name: string): SimProcess {
    return new SimProcess(name, this.scheduler)
  }

  newId(prefix: string): string {
    this.#ids += 1
    return `${prefix}-${this.#ids}`
  }

  /** The first one ends the simulation. */
  violate(invariant: string, message: string): void {
    this.tell('!', message)
    this.#violation ??= new Violation(invariant, message)
  }

  /** A line of the story, which is kept only where somebody will read it. */
  tell(who: string, what: string): void {
    if (this.#isTold) this.story.push(`${this.now.toFixed(1).padStart(9)} ms  ${who.padEnd(16)} ${what}`)
  }

  strike(fault: FaultName, who: string, what: string): void {
    this.faults.count(fault)
    if (this.#isTold) this.tell(who, `FAULT ${fault}: ${what}`)
  }
}
