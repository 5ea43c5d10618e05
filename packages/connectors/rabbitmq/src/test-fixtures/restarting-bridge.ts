import { setTimeout as sleep } from 'node:timers/promises'
import type { TestMover } from '@replatform/testkit/mover-process'

/** As the worker does it: a mover that ended with an error that will pass is started again. */
export class RestartingBridge implements AsyncDisposable {
  readonly #startMover: () => Promise<TestMover>
  #mover: TestMover | null = null
  #running: Promise<void> = Promise.resolve()
  #isStopped = false
  /** Of the mover of now. */
  #carried = 0
  #lag = -1
  /** Of all movers together. */
  #reports = 0
  #emptySince: number | null = null
  #starts = 0
  /** With which a worker would have paused the move. */
  failure: unknown = null

  constructor(startMover: () => Promise<TestMover>) {
    this.#startMover = startMover
  }

  /** Movers that were started. */
  get starts(): number {
    return this.#starts
  }

  /** Messages that are not across, as the mover of now last saw it; -1 before. */
  get backlog(): number {
    return this.#lag
  }

  /** Messages that the mover of now has carried. */
  get carried(): number {
    this.#requireNoFailure()
    return this.#carried
  }

  get isCarrying(): boolean {
    return this.carried > 0
  }

  /**
   * Whether everything is across. A queue that is empty says little: its last messages may be under way, and what the
   * mover has reported may be older than they are. So two further reports must find nothing left.
   */
  async hasCrossed(isEmpty: () => Promise<boolean>): Promise<boolean> {
    this.#requireNoFailure()
    if (!(await isEmpty())) this.#emptySince = null
    else this.#emptySince ??= this.#reports
    return this.#emptySince !== null && this.#reports >= this.#emptySince + 2 && this.#lag === 0
  }

  async start(state: 'planned' | 'in-sync'): Promise<void> {
    this.#carried = 0
    this.#lag = -1
    const mover = await this.#startMover()
    this.#mover = mover
    this.#starts++
    mover.client.onEvent((event) => {
      if (event.event !== 'follow' || this.#mover !== mover) return
      this.#carried = event.progress.rows
      this.#lag = event.progress.lagBytes
      this.#reports++
    })
    this.#running = mover.client.call('run', { direction: 'forward', state }).then(
      () => {},
      (error) => this.#ended(mover, error),
    )
    this.#running.catch((thrown) => {
      this.failure = thrown
    })
  }

  async kill(): Promise<void> {
    await this.#mover?.kill()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#mover?.client.call('stop', {})
    await this.#running
    this.#requireNoFailure()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#mover?.[Symbol.asyncDispose]()
    await this.#running.catch(() => {})
  }

  async #ended(mover: TestMover, error: { readonly retry?: string }): Promise<void> {
    this.#mover = null
    await mover[Symbol.asyncDispose]()
    if (this.#isStopped) return
    if (error.retry && error.retry !== 'retry') {
      this.failure = error
      return
    }
    // A broker that boots needs the machine itself.
    await sleep(300)
    if (!this.#isStopped) await this.start('in-sync')
  }

  #requireNoFailure(): void {
    if (this.failure) throw this.failure
  }
}
