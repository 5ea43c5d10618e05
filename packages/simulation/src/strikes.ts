import { type StepName, stepsOf } from '@replatform/engine/cutover-steps'
import type { SimServer } from './network.ts'
import type { SimProcess } from './sim-process.ts'
import type { SimStore } from './sim-store.ts'
import type { World } from './world.ts'

export type Target =
  | 'coordinator dies'
  | 'coordinator stops'
  | 'guard dies'
  | 'guard stops'
  | 'both die'
  | 'mover dies'
  | 'mover stops'
  | 'server down'
  | 'pooler restarts'
  | 'power cut'
  | 'row lost'
  | 'coordinator sleeps past the budget'
  | 'coordinator sleeps into a later cutover'
  | 'guard dies, mover stops'
  | 'a worker dies'
  | 'a worker sleeps past its claim'
  | 'a worker is stopped'
  | 'control database down'

/** One planned fault: at a moment of a step, since the short windows are the ones that matter. */
interface Strike {
  readonly at: string
  readonly delayMs: number
  readonly target: Target
  readonly ms: number
}

/** What can be struck. */
export interface Victims {
  coordinator(): SimProcess | undefined
  workers(): readonly SimProcess[]
  stopWorker(): void
  /** Null where it cannot be away without its worker. */
  readonly control: SimServer | null
  guards(): Iterable<SimProcess>
  movers(): Iterable<SimProcess>
  /** When the guard of the present cutover loses its patience, where one waits. */
  guardActsAt(): number | undefined
  readonly stores: readonly SimStore[]
  cutPower(): void
}

const targets: readonly Target[] = [
  'coordinator dies',
  'coordinator dies',
  'coordinator stops',
  'guard dies',
  'guard stops',
  'both die',
  'mover dies',
  'mover stops',
  'server down',
  'pooler restarts',
  'power cut',
  'power cut',
  'row lost',
  'coordinator sleeps past the budget',
  'coordinator sleeps past the budget',
  'coordinator sleeps into a later cutover',
  'guard dies, mover stops',
  'a worker dies',
  'a worker sleeps past its claim',
  'a worker is stopped',
  'control database down',
]
const steps: readonly StepName[] = stepsOf('forward').map(({ name }) => name)

/** Where a coordinator has still something to open or to point, and where doing it would be wrong in a later cutover. */
const opening = [
  'after decide',
  'after record-decision',
  'after unfence',
  'before point',
  'after abort',
  'after unfence-source',
]
const closed = [
  'after fence',
  'after drain',
  'after compare-changed',
  'before decide',
  'after decide',
  'before unfence',
]
/** Longer than anything of it lasts, and well before everything must have ended. */
const deepSleepMs = 60_000

/** A cutover at some moment, and who coordinates it. */
interface Moment {
  readonly cutover: string
  readonly process: SimProcess
}

/** The faults that this simulation plans, up to four. */
export class Strikes {
  readonly #world: World
  readonly #victims: Victims
  readonly #planned: Strike[]
  #last: Moment | null = null
  #sleeper: (Moment & { readonly wakesAt: string }) | null = null

  constructor(world: World, victims: Victims) {
    const { random } = world
    this.#world = world
    this.#victims = victims
    this.#planned = Array.from({ length: random.pick([0, 1, 1, 1, 2, 2, 3, 4]) }, () => this.#plan())
  }

  /** Called before every transaction of the control database. */
  transacted(number: number): void {
    if (this.#planned.length > 0) this.#strikeAt(`transaction ${number}`)
  }

  /** Called at every moment of every step. */
  reached(at: string, moment: Moment): void {
    this.#last = moment
    this.#wakeAt(at, moment)
    this.#strikeAt(at)
  }

  #plan(): Strike {
    const { random } = this.#world
    const target = random.pick(targets)
    const isDeep = target === 'coordinator sleeps into a later cutover'
    const atStep = () => `${random.pick(['before', 'after'])} ${random.pick(steps)}`
    const anywhere = () => (random.chance(0.3) ? `transaction ${random.whole(1, 150)}` : atStep())
    return {
      at: isDeep ? random.pick(opening) : anywhere(),
      delayMs: isDeep || random.chance(0.5) ? 0 : random.between(0, random.pick([3, 30, 1_500])),
      target,
      ms: random.between(10, random.pick([200, 2_000, 6_000])),
    }
  }

  #strikeAt(at: string): void {
    for (const strike of [...this.#planned]) {
      if (strike.at !== at) continue
      this.#planned.splice(this.#planned.indexOf(strike), 1)
      this.#world.scheduler.after(strike.delayMs, () => this.#strike(strike))
    }
  }

  #strike({ target, ms }: Strike): void {
    if (this.#world.faults.isOver) return
    const { random, now } = this.#world
    const coordinator = this.#victims.coordinator()
    const guard = [...this.#victims.guards()].at(-1)
    const mover = random.pick([...this.#victims.movers(), undefined])
    const acts: Record<Target, () => void> = {
      'coordinator dies': () => this.#kill(coordinator),
      'coordinator stops': () => this.#suspend(coordinator, ms),
      // It wakes up in the very moment in which the guard acts.
      'coordinator sleeps past the budget': () =>
        this.#suspend(coordinator, (this.#victims.guardActsAt() ?? now) - now + random.between(-2, 8)),
      'coordinator sleeps into a later cutover': () => this.#sleepDeeply(),
      'guard dies': () => this.#kill(guard),
      'guard stops': () => this.#suspend(guard, ms),
      'guard dies, mover stops': () => {
        this.#kill(guard)
        this.#suspend(mover, 3 * ms)
      },
      'both die': () => {
        this.#kill(coordinator)
        this.#kill(guard)
      },
      'mover dies': () => this.#kill(mover),
      'mover stops': () => this.#suspend(mover, ms),
      'server down': () => this.#takeDown(ms),
      'pooler restarts': () => this.#restartPooler(),
      'power cut': () => {
        this.#world.strike('power cut', 'machine', 'everything ends')
        this.#victims.cutPower()
      },
      'row lost': () => this.#loseRow(),
      'a worker dies': () => this.#kill(random.pick([...this.#victims.workers(), undefined])),
      'a worker sleeps past its claim': () =>
        this.#suspend(random.pick([...this.#victims.workers(), undefined]), 6_000 + 4 * ms),
      'a worker is stopped': () => this.#victims.stopWorker(),
      'control database down': () => this.#takeControlDown(ms),
    }
    acts[target]()
  }

  #kill(process: SimProcess | undefined): void {
    if (!process) return
    this.#world.strike('process killed', process.name, 'killed')
    process.isStruck = true
    process.kill()
  }

  #suspend(process: SimProcess | undefined, ms: number): void {
    if (!process || ms <= 0) return
    this.#world.strike('process suspended', process.name, `${Math.round(ms)} ms`)
    process.isStruck = true
    process.suspend(ms)
  }

  /** Another worker ends its cutover meanwhile; where there is none, it would only be late. */
  #sleepDeeply(): void {
    if (!this.#victims.control || !this.#last || this.#sleeper) return
    this.#sleeper = { ...this.#last, wakesAt: this.#world.random.pick(closed) }
    this.#suspend(this.#last.process, deepSleepMs)
  }

  /** In the middle of a cutover that is another's. */
  #wakeAt(at: string, { cutover }: Moment): void {
    const sleeper = this.#sleeper
    if (!sleeper || sleeper.cutover === cutover || at !== sleeper.wakesAt) return
    this.#sleeper = null
    this.#world.scheduler.after(this.#world.random.between(0, 3), () => {
      this.#world.tell(sleeper.process.name, 'wakes up')
      sleeper.process.wake()
    })
  }

  /** Nobody can decide anything meanwhile, so that nothing can be expected of anybody. */
  #takeControlDown(ms: number): void {
    const { control } = this.#victims
    if (!control) return
    this.#world.strike('control database down', control.name, `${Math.round(ms)} ms`)
    const witnesses = [...this.#victims.workers(), ...this.#victims.guards()]
    for (const process of witnesses) process.isStruck = true
    control.isUp = false
    this.#world.scheduler.after(ms, () => {
      control.isUp = true
    })
  }

  #takeDown(ms: number): void {
    const { random, scheduler } = this.#world
    const store = random.pick(this.#victims.stores)
    const server = random.pick([store.old.server, store.new.server, store.pooler.server])
    this.#world.strike('server down', server.name, `${Math.round(ms)} ms`)
    server.isUp = false
    scheduler.after(ms, () => {
      server.isUp = true
    })
  }

  /** A fault of a connector, or of a disk, on the side that is not in use: the comparison has to find it. */
  #loseRow(): void {
    const { random } = this.#world
    const store = random.pick(this.#victims.stores)
    const [open, ...others] = store.open()
    if (!open || others.length > 0) return
    const side = store.side(open === 'old' ? 'new' : 'old')
    const row = [...side.rows].at(-1)
    if (row === undefined) return
    side.rows.delete(row)
    this.#world.strike('row lost', side.server.name, row)
  }

  /** What was held goes on, and meets the fence; the place stands in the configuration. */
  #restartPooler(): void {
    const { pooler, name } = this.#world.random.pick(this.#victims.stores)
    this.#world.strike('pooler restarted', name, pooler.isHeld ? 'its hold is lost' : 'nothing was held')
    pooler.hasLostHold ||= pooler.isHeld
    pooler.isHeld = false
    for (const dispatch of pooler.waiting.splice(0)) dispatch()
  }
}
