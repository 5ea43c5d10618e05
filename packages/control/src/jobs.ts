/**
 * Who does what, by pg-boss. There are two kinds of queues:
 *
 * `wave/<estate>`: one job a wave that never ends by itself; to hold it is to host the moves of the wave. Its heartbeat
 * is the lease: when a worker dies, another one gets the job. A worker that lost its claim sees it by the job's signal;
 * should it be too slow to see, the epochs in the data keep it from writing.
 *
 * `operation/<estate>/<wave>`: what people ask of a wave or of one of its moves, worked only by its host. So an
 * operation always runs where the movers are, and whoever asks needs to know neither which worker that is nor whether
 * it just died.
 */
import type { Log } from '@replatform/core/connector'
import { PgBoss } from 'pg-boss'
import type { ControlDatabase } from './control-database.ts'
import type { JobBoss, QueueOptions } from './job-boss.ts'
import type { Delivery } from './notifications.ts'

/** The most that pg-boss lets a job take; a host hands over long before. */
const longestSeconds = 24 * 60 * 60
const heartbeatSeconds = 10

/** What a host takes over: a wave, and its moves by the estate file of whoever offers it. */
export interface HostingOffer {
  readonly wave: string
  readonly moves: readonly string[]
}

export interface Host {
  host(offer: HostingOffer, signal: AbortSignal): Promise<void>
  isWanted(offer: HostingOffer): Promise<boolean>
}

/** What hosting and operations need of the queue. Delivery is at least once, and a claim may be lost at any time. */
export interface JobQueue {
  offers(): Promise<(HostingOffer & { readonly id: string; readonly isHosted: boolean })[]>
  withdraw(offer: string): Promise<void>
  offer(offer: HostingOffer): Promise<void>
  hostWaves(most: number, host: Host): Promise<void>
  stopHosting(): Promise<void>
  createOperationQueue(wave: string): Promise<void>
  sendOperation(wave: string, operation: string): Promise<void>
  workOperations(
    offer: HostingOffer,
    unfinished: readonly string[],
    perform: (operation: string) => Promise<void>,
  ): Promise<void>
  stopOperations(wave: string): Promise<void>
}

export class Jobs implements JobQueue {
  readonly #boss: JobBoss
  readonly #estate: string
  #hosts = false

  private constructor(boss: JobBoss, estate: string) {
    this.#boss = boss
    this.#estate = estate
  }

  static async start(database: ControlDatabase, estate: string, log: Log): Promise<Jobs> {
    const boss = new PgBoss({
      ...database.forJobs,
      schema: 'replatform_jobs',
      schedule: false,
      useListenNotify: true,
      // How soon the claims of a dead worker are noticed; in a database of our own there is nobody else.
      ...(database.kind === 'postgresql' ? watchful : {}),
    })
    boss.on('error', (error) => log.warn({ err: error }, 'The job queue failed and will try again.'))
    boss.on('warning', ({ message }) => log.warn({}, message))
    await boss.start()
    return Jobs.over(boss, estate)
  }

  static async over(boss: JobBoss, estate: string): Promise<Jobs> {
    // `exclusive`: at most one job a wave, queued or active, so that sending it again changes nothing.
    await boss.createQueue(`wave/${estate}`, { ...unending, policy: 'exclusive', heartbeatSeconds })
    await boss.createQueue(`notification/${estate}`, delivered)
    return new Jobs(boss, estate)
  }

  /** Takes away the claims of workers that cannot live any more. Only for the owner of an embedded database. */
  async dropOrphans(): Promise<void> {
    for (const { id } of await this.offers()) await this.withdraw(id)
  }

  /** The waves that are offered or hosted now, by whichever estate file. */
  async offers(): Promise<(HostingOffer & { readonly id: string; readonly isHosted: boolean })[]> {
    const jobs = await this.#boss.findJobs<HostingOffer>(this.#waves)
    return jobs.map(({ id, state, data }) => ({ ...data, id, isHosted: state === 'active' }))
  }

  async withdraw(offer: string): Promise<void> {
    await this.#boss.deleteJob(this.#waves, offer)
  }

  /** Offers a wave to whoever hosts moves; does nothing when somebody does already. */
  async offer({ wave, moves }: HostingOffer): Promise<void> {
    await this.#boss.send(this.#waves, { wave, moves }, { singletonKey: wave })
  }

  /**
   * Hosts up to `most` waves at once; 0 leaves them to other workers. `host` returns when the signal says so, or when
   * the wave has ended; a wave that is still wanted is then offered again, at once, rather than left to the heartbeat.
   * It is asked after the job is gone: whoever asks something of a wave records that before he offers it.
   */
  async hostWaves(most: number, { host, isWanted }: Host): Promise<void> {
    if (most === 0) return
    this.#hosts = true
    await this.#boss.work<HostingOffer>(this.#waves, { localConcurrency: most, ...lookingFor(2) }, async ([job]) => {
      if (!job) return
      await host(job.data, job.signal)
      await this.#boss.deleteJob(this.#waves, { id: job.id, retryCount: job.retryCount })
      if (await isWanted(job.data)) await this.offer(job.data)
    })
  }

  /** Takes no further waves; those that are hosted stay until their hosts return. */
  async stopHosting(): Promise<void> {
    if (this.#hosts) await this.#boss.offWork(this.#waves, { wait: false })
  }

  async createOperationQueue(wave: string): Promise<void> {
    await this.#boss.createQueue(this.#operations(wave), { ...unending, heartbeatSeconds })
  }

  /** Idempotent: the operation's id is the job's. */
  async sendOperation(wave: string, operation: string): Promise<void> {
    await this.#boss.send(this.#operations(wave), {}, { id: operation })
  }

  /**
   * Works what was asked of a wave that this process hosts. What an earlier host had begun is begun again, and what
   * was recorded but never sent is sent. When `perform` throws, the operation comes again.
   */
  async workOperations(
    { wave, moves }: HostingOffer,
    unfinished: readonly string[],
    perform: (operation: string) => Promise<void>,
  ): Promise<void> {
    const queue = this.#operations(wave)
    const orphans = (await this.#boss.findJobs(queue)).filter((job) => job.state === 'active')
    for (const { id } of orphans) await this.#boss.deleteJob(queue, id)
    for (const id of unfinished) await this.sendOperation(wave, id)
    // Two a move at once, so that a pause need not wait for a long comparison.
    await this.#boss.work(queue, { localConcurrency: 2 * moves.length, ...lookingFor(5) }, async ([job]) => {
      if (job) await perform(job.id)
    })
  }

  /** One delivery of a notification. */
  async sendNotification(delivery: Delivery): Promise<void> {
    await this.#boss.send(this.#notifications, delivery)
  }

  /** Delivers what any worker had to tell; what `deliver` throws comes again, later and later, for about a day. */
  async workNotifications(deliver: (delivery: Delivery) => Promise<void>): Promise<void> {
    await this.#boss.work<Delivery>(this.#notifications, { localConcurrency: 2, ...lookingFor(2) }, async ([job]) => {
      if (job) await deliver(job.data)
    })
  }

  /** Returns when the operations that were being performed have ended. */
  async stopOperations(wave: string): Promise<void> {
    await this.#boss.offWork(this.#operations(wave), { wait: true })
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: true, timeout: 30_000 })
  }

  get #notifications(): string {
    return `notification/${this.#estate}`
  }

  get #waves(): string {
    return `wave/${this.#estate}`
  }

  #operations(wave: string): string {
    return `operation/${this.#estate}/${wave}`
  }
}

/** What comes again is not announced, so it has to be looked for; pg-boss would do that every half minute. */
function lookingFor(everySeconds: number) {
  return { notifyPollingIntervalSeconds: everySeconds }
}

const watchful = { superviseIntervalSeconds: heartbeatSeconds, monitorIntervalSeconds: heartbeatSeconds }

/** From two seconds on, twice as long each time, never more than an hour. */
const delivered: QueueOptions = {
  notify: true,
  expireInSeconds: 60,
  retryLimit: 36,
  retryDelay: 2,
  retryBackoff: true,
  retryDelayMax: 3_600,
}

/** Retried for ever, after a second: what ends a job is its handler, not a count. */
const unending: QueueOptions = {
  notify: true,
  expireInSeconds: longestSeconds,
  retryLimit: 1_000_000,
  retryDelay: 1,
}
