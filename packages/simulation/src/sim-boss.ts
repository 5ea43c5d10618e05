import type { ClaimedJob, JobBoss, WorkOptions } from '@replatform/control/job-boss'
import type { Claim } from './job-table.ts'
import type { SimControl } from './sim-control.ts'
import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

/** How often pg-boss looks by itself for what nobody announced, and for claims that nobody renews. */
export interface Habits {
  readonly pollMs: number
  readonly superviseMs: number
}

/** All that listen to one control database; a wake-up may get lost. */
export class WakeUps {
  readonly #world: World
  readonly #listening = new Set<(queue: string) => void>()

  constructor(world: World) {
    this.#world = world
  }

  listen(wake: (queue: string) => void): () => void {
    this.#listening.add(wake)
    return () => void this.#listening.delete(wake)
  }

  /** A claim was taken from somebody, dead or alive: the job will be delivered again. */
  strike(by: string): void {
    this.#world.strike('claim lost', by, 'gives a job to whoever comes')
  }

  announce(queue: string): void {
    for (const wake of [...this.#listening]) {
      if (this.#world.faults.isLost()) this.#world.strike('wake-up lost', 'control', queue)
      else wake(queue)
    }
  }
}

type Handler = (jobs: ClaimedJob<object>[]) => Promise<void>

interface WorkedQueue {
  readonly name: string
  readonly pollMs: number
  readonly handler: Handler
}

/** pg-boss in one process: claims jobs, renews its claims while their handlers run, and settles them. */
export class SimBoss implements JobBoss {
  readonly #process: SimProcess
  readonly #control: SimControl
  readonly #wakeUps: WakeUps
  readonly #habits: Habits
  readonly #workers = new Map<string, Set<Worker>>()
  readonly #stopping = new AbortController()

  constructor(process: SimProcess, control: SimControl, wakeUps: WakeUps, habits: Habits) {
    this.#process = process
    this.#control = control
    this.#wakeUps = wakeUps
    this.#habits = habits
    const deafen = wakeUps.listen((queue) => {
      for (const worker of this.#workers.get(queue) ?? []) process.after(0.2, () => worker.wake())
    })
    process.onExit(deafen)
    void this.#supervise()
  }

  async createQueue(...[name, options]: Parameters<JobBoss['createQueue']>): Promise<void> {
    await this.#ask(`create ${name}`, () => this.#control.jobs.createQueue(name, options))
  }

  send(...[name, data, options = {}]: Parameters<JobBoss['send']>): Promise<string | null> {
    return this.#ask(`send to ${name}`, () => {
      const sent = this.#control.jobs.send(name, data, options)
      if (sent !== null) this.#wakeUps.announce(name)
      return sent
    })
  }

  findJobs<Data>(name: string) {
    return this.#ask(`look at ${name}`, () => this.#control.jobs.find<Data>(name))
  }

  deleteJob(...[name, job]: Parameters<JobBoss['deleteJob']>): Promise<unknown> {
    return this.#ask(`delete from ${name}`, () => this.#control.jobs.delete(job))
  }

  async work<Data>(
    name: string,
    { localConcurrency, notifyPollingIntervalSeconds }: WorkOptions,
    handler: (jobs: ClaimedJob<Data>[]) => Promise<void>,
  ): Promise<string> {
    const workers = this.#workers.get(name) ?? new Set()
    this.#workers.set(name, workers)
    const pollMs = notifyPollingIntervalSeconds ? notifyPollingIntervalSeconds * 1_000 : this.#habits.pollMs
    for (let i = 0; i < localConcurrency; i++) {
      workers.add(new Worker(this.#process, this.#control, { name, pollMs, handler: handler as Handler }))
    }
    return name
  }

  async offWork(name: string, { wait }: { readonly wait: boolean }): Promise<void> {
    const workers = [...(this.#workers.get(name) ?? [])]
    this.#workers.delete(name)
    const ended = Promise.all(workers.map((worker) => worker.stop()))
    if (wait) await ended
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const name of [...this.#workers.keys()]) await this.offWork(name, { wait: true })
  }

  async #supervise(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#process.clock.sleep(this.#habits.superviseMs, this.#stopping.signal).catch(() => {})
      await this.#ask('supervise', () => this.#giveAway()).catch(() => {})
    }
  }

  #giveAway(): void {
    const lost = this.#control.jobs.supervise()
    for (let i = 0; i < lost; i++) this.#wakeUps.strike(this.#process.name)
  }

  #ask<T>(what: string, act: () => T): Promise<T> {
    return this.#control.ask(this.#process, what, act)
  }
}

class Worker {
  readonly #process: SimProcess
  readonly #control: SimControl
  readonly #queue: WorkedQueue
  readonly #ended: Promise<void>
  #isStopping = false
  #wasWoken = false
  #sleep: AbortController | null = null

  constructor(process: SimProcess, control: SimControl, queue: WorkedQueue) {
    this.#process = process
    this.#control = control
    this.#queue = queue
    this.#ended = this.#run()
  }

  wake(): void {
    this.#wasWoken = true
    this.#sleep?.abort()
  }

  stop(): Promise<void> {
    this.#isStopping = true
    this.#sleep?.abort()
    return this.#ended
  }

  async #run(): Promise<void> {
    const { pollMs } = this.#queue
    while (!this.#isStopping) {
      this.#wasWoken = false
      const startedAt = this.#process.clock.now()
      // What could not be asked, or not be settled, is only logged; the loop goes on.
      await this.#workOnce().catch(() => {})
      const restMs = startedAt + pollMs - this.#process.clock.now()
      if (this.#isStopping || this.#wasWoken || restMs <= 100) continue
      this.#sleep = new AbortController()
      await this.#process.clock.sleep(restMs, this.#sleep.signal).catch(() => {})
      this.#sleep = null
    }
  }

  async #workOnce(): Promise<void> {
    const { name, handler } = this.#queue
    const { jobs } = this.#control
    const claimed = await this.#ask(`fetch from ${name}`, () => jobs.fetch(name))
    if (!claimed) return
    const lost = new AbortController()
    const beats = this.#renew(claimed, lost)
    try {
      await handler([{ ...claimed, signal: lost.signal }])
      await this.#ask(`complete a job of ${name}`, () => jobs.complete(claimed))
    } catch {
      await this.#ask(`fail a job of ${name}`, () => jobs.fail(claimed))
    } finally {
      beats.abort()
    }
  }

  /** A heartbeat that could not be sent says nothing about the claim. */
  #renew(claim: Claim, lost: AbortController): AbortController {
    const { jobs } = this.#control
    const ended = new AbortController()
    const everyMs = (jobs.heartbeatMs(this.#queue.name) ?? 0) / 2
    const beat = async () => {
      while (!ended.signal.aborted && !lost.signal.aborted) {
        await this.#process.clock.sleep(everyMs, ended.signal).catch(() => {})
        if (ended.signal.aborted) return
        const isHeld = await this.#ask('renew a claim', () => jobs.touch(claim)).catch(() => true)
        if (!isHeld) lost.abort()
      }
    }
    if (everyMs > 0) void beat()
    return ended
  }

  #ask<T>(what: string, act: () => T): Promise<T> {
    return this.#control.ask(this.#process, what, act)
  }
}
