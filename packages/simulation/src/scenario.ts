import { guardSlackMs } from '@replatform/control/guard-host'
import { Client } from './clients.ts'
import type { FaultName } from './faults.ts'
import { Invariants, type Watched } from './invariants.ts'
import { Machine } from './machine.ts'
import { mostLateMs } from './network.ts'
import type { SimProcess } from './sim-process.ts'
import { SimStore } from './sim-store.ts'
import { Strikes } from './strikes.ts'
import { decisionsPath, WaveHost } from './wave-host.ts'
import { World } from './world.ts'

export interface Result {
  readonly seed: number
  readonly violation: { readonly invariant: string; readonly message: string } | null
  readonly steps: number
  readonly simulatedMs: number
  readonly faults: ReadonlyMap<FaultName, number>
  readonly outcomes: readonly ('committed' | 'aborted')[]
  readonly story: readonly string[]
}

const budgetMs = 2_000
/** No fault strikes later; from then on everything must come to a good end. */
const faultsUntilMs = 14_000
const healedByMs = 75_000

/** One wave that is cut over, rolled back and cut over again, with clients that write and faults that strike. */
export async function simulateWave(seed: number, { isTold = false } = {}): Promise<Result> {
  const scenario = new WaveScenario(seed, isTold)
  return scenario.run()
}

class WaveScenario {
  readonly #seed: number
  readonly #world: World
  readonly #stores: readonly SimStore[]
  readonly #machine: Machine
  readonly #invariants: Invariants
  readonly #strikes: Strikes
  readonly #clients: readonly Client[]
  readonly #outcomes: ('committed' | 'aborted')[] = []
  #process: SimProcess | undefined
  #host: WaveHost | undefined
  #cutovers = 0
  readonly #cutoversInAll: number
  #isOver = false

  constructor(seed: number, isTold: boolean) {
    this.#seed = seed
    this.#world = new World(seed, { isTold })
    const { random } = this.#world
    this.#stores = Array.from({ length: random.whole(1, 3) }, (_, i) => new SimStore(`store-${i}`))
    this.#machine = new Machine(this.#world, this.#stores)
    this.#invariants = new Invariants(this.#world, this.#stores)
    this.#clients = this.#stores.map((store) => new Client(this.#world, store))
    this.#cutoversInAll = random.whole(1, 3)
    this.#strikes = new Strikes(this.#world, {
      coordinator: () => this.#process,
      guards: () => this.#machine.guards,
      movers: () => this.#machine.movers,
      guardActsAt: () => {
        const { heldAt } = this.#invariants.watched ?? { heldAt: null }
        return heldAt === null ? undefined : heldAt + budgetMs + guardSlackMs
      },
      stores: this.#stores,
      cutPower: () => this.#machine.cutPower(),
    })
  }

  async run(): Promise<Result> {
    const { scheduler } = this.#world
    for (const { old } of this.#stores) old.streams.set('forward', { id: 'first', from: 0 })
    this.#startWorker()
    scheduler.after(faultsUntilMs, () => this.#heal(), true)
    scheduler.after(healedByMs, () => this.#end(), true)
    await scheduler.run(
      () => this.#isOver || this.#world.violation !== null,
      () => this.#invariants.check(),
    )
    return this.#result()
  }

  /** Another worker, when the one before is gone: soon, late, or only after all faults. */
  #startWorker(): void {
    const process = this.#machine.start('worker')
    this.#process = process
    this.#host = undefined
    process.onExit(() => {
      if (this.#process === process) this.#process = undefined
      const { random, scheduler, faults } = this.#world
      const waitMs = faults.isOver ? 10 : random.pick([10, 300, 2_500, 12_000])
      scheduler.after(waitMs, () => !this.#process && this.#startWorker())
    })
    const booted = WaveHost.boot({
      machine: this.#machine,
      process,
      stores: this.#stores,
      budgetMs,
      onStep: (at) => {
        this.#world.tell(process.name, `step ${at}`)
        this.#strikes.reached(at)
      },
    })
    void booted.then(
      (host) => {
        this.#host = host
        this.#planNext(process)
      },
      (thrown) => this.#crash(process, thrown),
    )
  }

  #planNext(process: SimProcess): void {
    const { random } = this.#world
    // A person asks again only when what was on its way has arrived.
    process.after(mostLateMs + random.pick([50, 200, 800]), () => void this.#cutOverNext(process))
  }

  async #cutOverNext(process: SimProcess): Promise<void> {
    const host = this.#host
    if (!host) return
    if (this.#cutovers >= this.#cutoversInAll) return this.#settle()
    this.#cutovers += 1
    const id = `cutover-${this.#cutovers}`
    this.#invariants.watched = this.#watch(id)
    this.#world.tell(process.name, `${id} begins, from ${host.state}`)
    try {
      await host.cutOver(id)
    } catch (thrown) {
      return this.#crash(process, thrown)
    }
    this.#planNext(process)
  }

  /** What a person does when a worker says that it cannot go on: look, and start it again. */
  #crash(process: SimProcess, thrown: unknown): void {
    this.#world.tell(process.name, `gives up: ${(thrown as Error).stack}`)
    process.kill()
  }

  #watch(id: string): Watched {
    const outcome = () => {
      const text = this.#machine.files.peek(`${decisionsPath}/${id}.json`)
      return text === undefined ? undefined : (JSON.parse(text) as { outcome: 'committed' | 'aborted' }).outcome
    }
    const coordinator = this.#process
    let guard: SimProcess | undefined
    return {
      id,
      budgetMs,
      heldAt: null,
      isWatched: () => {
        guard ??= [...this.#machine.guards].at(-1)
        const isCoordinated = coordinator?.isAlive === true && !coordinator.isStruck
        return isCoordinated || (guard !== undefined && !guard.isStruck)
      },
      outcome,
    }
  }

  #heal(): void {
    const { faults, scheduler } = this.#world
    this.#world.tell('-', 'no fault strikes any more')
    faults.isOver = true
    for (const { old, new: other, pooler } of this.#stores) {
      for (const { server } of [old, other, pooler]) server.isUp = true
    }
    if (!this.#process) scheduler.after(10, () => !this.#process && this.#startWorker())
  }

  /** All cutovers have ended: wait until both sides are level and clients were served once more. */
  #settle(): void {
    const { scheduler } = this.#world
    if (!this.#world.faults.isOver) this.#heal()
    const served = this.#clients.map((client) => client.served)
    const look = () => {
      if (this.#clients.every((client, i) => client.served > (served[i] ?? 0) + 3)) return this.#end()
      scheduler.after(50, look, true)
    }
    look()
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#cutovers < this.#cutoversInAll || !this.#host?.isIdle) {
      this.#world.violate('ends', 'the cutovers have not ended')
    }
    this.#invariants.checkEnd()
  }

  #result(): Result {
    const world = this.#world
    for (let number = 1; number <= this.#cutovers; number++) {
      const outcome = this.#watch(`cutover-${number}`).outcome()
      if (outcome) this.#outcomes.push(outcome)
    }
    const { violation, story, now } = world
    return {
      seed: this.#seed,
      violation: violation && { invariant: violation.invariant, message: violation.message },
      steps: world.scheduler.steps,
      simulatedMs: now,
      faults: world.faults.counts,
      outcomes: this.#outcomes,
      story,
    }
  }
}
