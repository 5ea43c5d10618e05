import type { CutoverMoment } from '@replatform/control/services'
import type { Estate } from '@replatform/core/estate'
import { JobTable } from './job-table.ts'
import { Machine } from './machine.ts'
import { Network } from './network.ts'
import { type Habits, WakeUps } from './sim-boss.ts'
import { SimControl } from './sim-control.ts'
import type { SimProcess } from './sim-process.ts'
import type { SimStore } from './sim-store.ts'
import { type ControlPlace, decisionsPath, SimWorker } from './sim-worker.ts'
import type { World } from './world.ts'

export interface SiteOptions {
  readonly stores: readonly SimStore[]
  readonly estate: Estate
  readonly onStep: (moment: CutoverMoment, who: SimProcess) => void
}

/** What pg-boss does by default, and `Jobs` asks of it. */
const habits: Habits = { pollMs: 30_000, superviseMs: 10_000 }

/**
 * Where workers run. Either one machine whose worker has its control database embedded, or two or three machines with a
 * worker each that share one. A worker that has ended is started again: soon, late, or only after all faults.
 */
export class Site {
  readonly control: SimControl
  readonly #world: World
  readonly #options: SiteOptions
  readonly #place: ControlPlace
  readonly #machines: readonly Machine[]
  readonly #running = new Map<Machine, SimProcess>()
  readonly #ready = new Map<SimProcess, SimWorker>()

  constructor(world: World, options: SiteOptions) {
    this.#world = world
    this.#options = options
    const network = new Network(world)
    const isEmbedded = world.random.chance(0.5)
    this.control = new SimControl('control', { network, jobs: new JobTable(world), isEmbedded })
    this.#place = { control: this.control, wakeUps: new WakeUps(world), habits, isEmbedded }
    const count = isEmbedded ? 1 : world.random.whole(2, 3)
    this.#machines = Array.from({ length: count }, (_, i) => {
      return new Machine(world, options.stores, { name: isEmbedded ? '' : `${'abc'[i]}/`, network })
    })
  }

  get isShared(): boolean {
    return !this.#place.isEmbedded
  }

  /** Workers that answer. */
  get workers(): readonly SimWorker[] {
    return [...this.#ready.values()]
  }

  get processes(): readonly SimProcess[] {
    return [...this.#running.values()]
  }

  guards(): SimProcess[] {
    return this.#machines.flatMap(({ guards }) => [...guards])
  }

  movers(): SimProcess[] {
    return this.#machines.flatMap(({ movers }) => [...movers])
  }

  start(): void {
    for (const { name } of this.#options.stores) {
      const nothing = { paused: null, limits: null, lastCompare: null }
      const record = { name, route: '', state: 'in-sync', shouldRun: true, ...nothing } as const
      this.control.state.moves.set(name, record)
    }
    for (const machine of this.#machines) this.#startWorker(machine)
  }

  /** What the record says. */
  outcome(cutover: string): 'committed' | 'aborted' | undefined {
    if (!this.#place.isEmbedded) return this.control.state.decisions.get(cutover)?.outcome
    const text = this.#machines[0]?.files.peek(`${decisionsPath}/${cutover}.json`)
    return text === undefined ? undefined : (JSON.parse(text) as { outcome: 'committed' | 'aborted' }).outcome
  }

  /** Nothing runs that would still have to end, and nobody has to be asked. */
  isIdle(): boolean {
    const { operations, cutovers, moves } = this.control.state
    const isEnded = [...operations.values()].every(({ state }) => state !== 'running')
    const isClosed = [...cutovers.values()].every(({ outcome }) => outcome !== null)
    return isEnded && isClosed && [...moves.values()].every(({ paused }) => !paused)
  }

  heal(): void {
    this.control.server.isUp = true
    for (const machine of this.#machines) {
      if (!this.#running.has(machine)) this.#world.scheduler.after(10, () => this.#startWorker(machine))
    }
  }

  cutPower(): void {
    const { random } = this.#world
    const machine = random.pick(this.#machines)
    machine.cutPower()
    if (!this.#place.isEmbedded || random.chance(0.5)) return
    if (this.control.loseEnd()) this.#world.strike('control database lost its end', 'machine', 'it did not flush')
  }

  /** As an operator stops it, who then starts it again. */
  stopOne(): void {
    if (this.#ready.size === 0) return
    const worker = this.#world.random.pick(this.workers)
    this.#world.strike('worker stopped', worker.process.name, 'stopped')
    void worker.stop().then(() => worker.process.kill())
  }

  #startWorker(machine: Machine): void {
    if (this.#running.has(machine)) return
    const process = machine.start('worker')
    this.#running.set(machine, process)
    process.onExit(() => {
      this.#running.delete(machine)
      this.#ready.delete(process)
      const { random, scheduler, faults } = this.#world
      const waitMs = faults.isOver ? 10 : random.pick([10, 300, 2_500, 12_000])
      scheduler.after(waitMs, () => this.#startWorker(machine))
    })
    const { estate, onStep } = this.#options
    const started = SimWorker.start({ machine, process, estate, place: this.#place, onStep })
    void started.then(
      (worker) => {
        if (process.isAlive) this.#ready.set(process, worker)
      },
      // What a person does when a worker says that it cannot start: look, and start it again.
      (thrown) => {
        this.#world.tell(process.name, `does not start: ${(thrown as Error).message}`)
        process.kill()
      },
    )
  }
}
