/**
 * Who does what, by pg-boss. There are two kinds of queues:
 *
 * `move/<estate>`: one job a move that never ends by itself; to hold it is to host the move. Its heartbeat is the lease: when
 * a worker dies, another one gets the job. A worker that lost its claim sees it by the job's signal; should it be too
 * slow to see, the epochs in the data keep it from writing.
 *
 * `operation/<estate>/<move>`: what people ask of a move, worked only by its host. So an operation always runs where
 * the mover is, and whoever asks needs to know neither which worker that is nor whether it just died.
 */
import type { Log } from '@replatform/core/connector'
import { PgBoss } from 'pg-boss'
import type { ControlDatabase } from './control-database.ts'

/** The most that pg-boss lets a job take; a host hands over long before. */
const longestSeconds = 24 * 60 * 60
const heartbeatSeconds = 10

export class Jobs {
  readonly #boss: PgBoss
  readonly #estate: string
  #hosts = false

  private constructor(boss: PgBoss, estate: string) {
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
    // `exclusive`: at most one job a move, queued or active, so that sending it again changes nothing.
    await boss.createQueue(`move/${estate}`, { ...unending, policy: 'exclusive', heartbeatSeconds })
    return new Jobs(boss, estate)
  }

  /** Takes away the claims of workers that cannot live any more. Only for the owner of an embedded database. */
  async dropOrphans(): Promise<void> {
    const jobs = await this.#boss.findJobs(this.#moves)
    for (const { id } of jobs) await this.#boss.deleteJob(this.#moves, id)
  }

  /** Offers a move to whoever hosts moves; does nothing when somebody does already. */
  async offer(move: string): Promise<void> {
    await this.#boss.send(this.#moves, { move }, { singletonKey: move })
  }

  /**
   * Hosts up to `most` moves at once; 0 leaves them to other workers. `host` returns when the signal says so; the move is then offered again, at
   * once, rather than left to the heartbeat.
   */
  async hostMoves(most: number, host: (move: string, signal: AbortSignal) => Promise<void>): Promise<void> {
    if (most === 0) return
    this.#hosts = true
    await this.#boss.work<{ move: string }>(this.#moves, { localConcurrency: most }, async ([job]) => {
      if (!job) return
      await host(job.data.move, job.signal)
      await this.#boss.deleteJob(this.#moves, { id: job.id, retryCount: job.retryCount })
      await this.offer(job.data.move)
    })
  }

  /** Takes no further moves; those that are hosted stay until their hosts return. */
  async stopHosting(): Promise<void> {
    if (this.#hosts) await this.#boss.offWork(this.#moves, { wait: false })
  }

  async createOperationQueue(move: string): Promise<void> {
    await this.#boss.createQueue(this.#operations(move), unending)
  }

  /** Idempotent: the operation's id is the job's. */
  async sendOperation(move: string, operation: string): Promise<void> {
    await this.#boss.send(this.#operations(move), {}, { id: operation })
  }

  /**
   * Works what was asked of a move that this process hosts. What an earlier host had begun is begun again, and what
   * was recorded but never sent is sent. When `perform` throws, the operation comes again.
   */
  async workOperations(
    move: string,
    unfinished: readonly string[],
    perform: (operation: string) => Promise<void>,
  ): Promise<void> {
    const queue = this.#operations(move)
    const orphans = (await this.#boss.findJobs(queue)).filter((job) => job.state === 'active')
    for (const { id } of orphans) await this.#boss.deleteJob(queue, id)
    for (const id of unfinished) await this.sendOperation(move, id)
    // Two at once, so that a pause need not wait for a long comparison.
    await this.#boss.work(queue, { localConcurrency: 2 }, async ([job]) => {
      if (job) await perform(job.id)
    })
  }

  /** Returns when the operations that were being performed have ended. */
  async stopOperations(move: string): Promise<void> {
    await this.#boss.offWork(this.#operations(move), { wait: true })
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: true, timeout: 30_000 })
  }

  get #moves(): string {
    return `move/${this.#estate}`
  }

  #operations(move: string): string {
    return `operation/${this.#estate}/${move}`
  }
}

const watchful = { superviseIntervalSeconds: heartbeatSeconds, monitorIntervalSeconds: heartbeatSeconds }

/** Retried for ever, after a second: what ends a job is its handler, not a count. */
const unending = {
  notify: true,
  expireInSeconds: longestSeconds,
  retryLimit: 1_000_000,
  retryDelay: 1,
}
