import type { KnownJob, QueueOptions } from '@replatform/control/job-boss'
import { ReplatformError } from '@replatform/core/errors'
import type { World } from './world.ts'

interface Job {
  readonly id: string
  readonly queue: string
  readonly key: string | null
  readonly data: object
  readonly state: 'created' | 'retry' | 'active' | 'completed'
  readonly retryCount: number
  readonly startAfter: number
  /** When its claim was renewed last. */
  readonly beatAt: number
  readonly wasStarted: boolean
}

export interface Claim {
  readonly id: string
  readonly retryCount: number
}

/** The jobs of pg-boss as they stand in its database; every verb is one transaction of it. */
export class JobTable {
  readonly #world: Pick<World, 'now' | 'newId'>
  readonly #queues = new Map<string, QueueOptions>()
  #jobs = new Map<string, Job>()

  constructor(world: Pick<World, 'now' | 'newId'>) {
    this.#world = world
  }

  copy(): ReadonlyMap<string, Job> {
    return new Map(this.#jobs)
  }

  restore(jobs: ReadonlyMap<string, Job>): void {
    this.#jobs = new Map(jobs)
  }

  createQueue(name: string, options: QueueOptions): void {
    if (!this.#queues.has(name)) this.#queues.set(name, options)
  }

  send(
    queue: string,
    data: object,
    {
      id = this.#world.newId('job'),
      singletonKey = null,
    }: { readonly id?: string; readonly singletonKey?: string | null },
  ): string | null {
    const { policy } = this.#queue(queue)
    if (this.#jobs.has(id)) return null
    const isTaken = (job: Job) => job.queue === queue && job.key === singletonKey && job.state !== 'completed'
    if (policy === 'exclusive' && [...this.#jobs.values()].some(isTaken)) return null
    const fresh = { state: 'created', retryCount: 0, startAfter: 0, beatAt: 0, wasStarted: false } as const
    this.#jobs.set(id, { id, queue, key: singletonKey, data, ...fresh })
    return id
  }

  find<Data>(queue: string): KnownJob<Data>[] {
    const found = [...this.#jobs.values()].filter((job) => job.queue === queue)
    return found.map(({ id, state, data }) => ({ id, state, data: data as Data }))
  }

  /** Every claim raises the count, but the first. */
  fetch(queue: string): (Claim & { readonly data: object }) | null {
    const now = this.#world.now
    const isReady = (job: Job) =>
      job.queue === queue && (job.state === 'created' || job.state === 'retry') && job.startAfter <= now
    const job = [...this.#jobs.values()].find(isReady)
    if (!job) return null
    const retryCount = job.wasStarted ? job.retryCount + 1 : job.retryCount
    this.#jobs.set(job.id, { ...job, state: 'active', retryCount, beatAt: now, wasStarted: true })
    return { id: job.id, retryCount, data: job.data }
  }

  /** Whether the claim still holds. */
  touch(claim: Claim): boolean {
    const job = this.#held(claim)
    if (job) this.#jobs.set(job.id, { ...job, beatAt: this.#world.now })
    return job !== undefined
  }

  complete(claim: Claim): void {
    const job = this.#held(claim)
    if (job) this.#jobs.set(job.id, { ...job, state: 'completed' })
  }

  fail(claim: Claim): void {
    const job = this.#held(claim)
    if (job) this.#retry(job)
  }

  delete(job: string | Claim): void {
    if (typeof job === 'string') this.#jobs.delete(job)
    else if (this.#held(job)) this.#jobs.delete(job.id)
  }

  /** Takes the claims of those who renew them no more; returns how many. */
  supervise(): number {
    const isLost = ({ queue, state, beatAt }: Job) => {
      const { heartbeatSeconds } = this.#queue(queue)
      return state === 'active' && heartbeatSeconds !== undefined && beatAt + heartbeatSeconds * 1_000 < this.#world.now
    }
    const lost = [...this.#jobs.values()].filter(isLost)
    for (const job of lost) this.#retry(job)
    return lost.length
  }

  heartbeatMs(queue: string): number | null {
    const { heartbeatSeconds } = this.#queue(queue)
    return heartbeatSeconds === undefined ? null : heartbeatSeconds * 1_000
  }

  #retry(job: Job): void {
    const startAfter = this.#world.now + this.#queue(job.queue).retryDelay * 1_000
    this.#jobs.set(job.id, { ...job, state: 'retry', startAfter })
  }

  #held({ id, retryCount }: Claim): Job | undefined {
    const job = this.#jobs.get(id)
    return job?.state === 'active' && job.retryCount === retryCount ? job : undefined
  }

  #queue(name: string): QueueOptions {
    const queue = this.#queues.get(name)
    if (queue) return queue
    throw new ReplatformError('internal', { message: `There is no queue ${name}.` })
  }
}
