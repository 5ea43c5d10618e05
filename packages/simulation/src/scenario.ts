import { guardSlackMs } from '@replatform/control/guard-host'
import type { CutoverMoment } from '@replatform/control/services'
import type { Estate } from '@replatform/core/estate'
import { Client } from './clients.ts'
import type { FaultName } from './faults.ts'
import { Invariants, type Watched } from './invariants.ts'
import { JobInvariants } from './job-invariants.ts'
import { Person } from './person.ts'
import type { SimProcess } from './sim-process.ts'
import { SimStore } from './sim-store.ts'
import { Site } from './site.ts'
import { Strikes } from './strikes.ts'
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
const wave = 'wave'
/** No fault strikes later; from then on everything must come to a good end. */
const faultsUntilMs = 14_000
const healedByMs = 120_000

/** One wave that is cut over, rolled back and cut over again, with clients that write and faults that strike. */
export async function simulateWave(seed: number, { isTold = false } = {}): Promise<Result> {
  const scenario = new WaveScenario(seed, isTold)
  return scenario.run()
}

class WaveScenario {
  readonly #seed: number
  readonly #world: World
  readonly #stores: readonly SimStore[]
  readonly #site: Site
  readonly #person: Person
  readonly #invariants: Invariants
  readonly #jobInvariants: JobInvariants
  readonly #strikes: Strikes
  readonly #clients: readonly Client[]
  readonly #watched = new Map<string, Watched>()
  #coordinator: SimProcess | undefined
  #isSettling = false
  #isOver = false

  constructor(seed: number, isTold: boolean) {
    this.#seed = seed
    this.#world = new World(seed, { isTold })
    const { random } = this.#world
    this.#stores = Array.from({ length: random.whole(1, 3) }, (_, i) => new SimStore(`store-${i}`))
    const moves = this.#stores.map(({ name }) => name)
    this.#site = new Site(this.#world, {
      stores: this.#stores,
      estate: estateOf(moves),
      onStep: (moment, who) => this.#reached(moment, who),
    })
    const { control } = this.#site
    this.#invariants = new Invariants(this.#world, this.#stores)
    this.#jobInvariants = new JobInvariants(this.#world, control, { moves, outcomeOf: (id) => this.#site.outcome(id) })
    this.#clients = this.#stores.map((store) => new Client(this.#world, store))
    this.#person = new Person({
      world: this.#world,
      process: this.#world.process('person'),
      wave,
      moves,
      cutovers: random.whole(1, 3),
      workers: () => this.#site.workers,
      onAsk: () => control.writeBack(),
    })
    this.#strikes = new Strikes(this.#world, {
      coordinator: () => this.#coordinator,
      workers: () => this.#site.processes,
      stopWorker: () => this.#site.stopOne(),
      guards: () => this.#site.guards(),
      movers: () => this.#site.movers(),
      guardActsAt: () => {
        const { heldAt } = this.#invariants.watched ?? { heldAt: null }
        return heldAt === null ? undefined : heldAt + budgetMs + guardSlackMs
      },
      stores: this.#stores,
      control: this.#site.isShared ? control.server : null,
      cutPower: () => this.#site.cutPower(),
    })
    control.onTransaction = () => this.#strikes.transacted(control.version)
  }

  async run(): Promise<Result> {
    const { scheduler } = this.#world
    for (const { old } of this.#stores) old.streams.set('forward', { id: 'first', from: 0 })
    this.#site.start()
    scheduler.after(faultsUntilMs, () => this.#heal(), true)
    scheduler.after(healedByMs, () => this.#end(), true)
    await scheduler.run(
      () => this.#isOver || this.#world.violation !== null,
      () => {
        if (this.#person.isDone) this.#settle()
        this.#invariants.check()
        this.#jobInvariants.check()
      },
    )
    return this.#result()
  }

  #reached({ cutover, when, step }: CutoverMoment, who: SimProcess): void {
    this.#world.tell(who.name, `step ${when} ${step}`)
    this.#coordinator = who
    if (!this.#watched.has(cutover)) {
      const watched = this.#watch(cutover, who)
      this.#watched.set(cutover, watched)
      this.#invariants.watched = watched
    }
    this.#strikes.reached(`${when} ${step}`, { cutover, process: who })
  }

  #watch(id: string, coordinator: SimProcess): Watched {
    let guard: SimProcess | undefined
    return {
      id,
      budgetMs,
      heldAt: null,
      isWatched: () => {
        guard ??= [...this.#site.guards()].at(-1)
        const isCoordinated = coordinator.isAlive && !coordinator.isStruck
        return isCoordinated || (guard !== undefined && !guard.isStruck)
      },
      outcome: () => this.#site.outcome(id),
    }
  }

  #heal(): void {
    const { faults } = this.#world
    this.#world.tell('-', 'no fault strikes any more')
    faults.isOver = true
    for (const { old, new: other, pooler } of this.#stores) {
      for (const { server } of [old, other, pooler]) server.isUp = true
    }
    this.#site.heal()
  }

  /** All cutovers have ended: wait until nothing runs any more and clients were served once more. */
  #settle(): void {
    if (this.#isSettling) return
    this.#isSettling = true
    const { scheduler } = this.#world
    if (!this.#world.faults.isOver) this.#heal()
    const served = this.#clients.map((client) => client.served)
    const look = () => {
      const isServed = this.#clients.every((client, i) => client.served > (served[i] ?? 0) + 3)
      if (isServed && this.#site.isIdle()) return this.#end()
      scheduler.after(50, look, true)
    }
    look()
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (!this.#person.isDone) this.#world.violate('ends', 'the cutovers have not ended')
    this.#jobInvariants.checkEnd()
    this.#invariants.checkEnd()
  }

  #result(): Result {
    const world = this.#world
    const { violation, story, now } = world
    const outcomes = [...this.#watched.keys()]
      .map((id) => this.#site.outcome(id))
      .filter((outcome) => outcome !== undefined)
    return {
      seed: this.#seed,
      violation: violation && { invariant: violation.invariant, message: violation.message },
      steps: world.scheduler.steps,
      simulatedMs: now,
      faults: world.faults.counts,
      outcomes,
      story,
    }
  }
}

function estateOf(moves: readonly string[]): Estate {
  const stores = moves.map((name) => {
    const side = { kind: 'postgresql', url: name } as const
    return [name, { source: side, target: side }] as const
  })
  const declared = { name: wave, phase: 'rehost' as const, moves: [...moves], pauseBudget: `${budgetMs}ms` }
  return { estate: 'simulated', stores: Object.fromEntries(stores), waves: [declared] }
}
