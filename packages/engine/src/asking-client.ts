import { ReplatformError } from '@replatform/core/errors'
import type { CopyClient, Felt } from '@replatform/core/routing'
import { type Clock, systemClock } from './clock.ts'

export interface AskingClientOptions {
  /** Of what is asked, for messages. */
  readonly name: string
  /** One question with its answer, over a connection that it keeps; throws what an application would have seen. */
  readonly ask: (signal: AbortSignal) => Promise<void>
  readonly clock?: Clock
}

const everyMs = 5
/** An answer is due in milliseconds; more is only for machines that are very busy. */
const answerWithinMs = 30_000

/** A client that never stops asking, from its making to its disposal, and knows how long it had to wait. */
export class AskingClient implements CopyClient, AsyncDisposable {
  readonly #options: AskingClientOptions
  readonly #clock: Clock
  readonly #over = new AbortController()
  readonly #ended: Promise<void>
  #waiting: (() => void)[] = []
  #answers = 0
  #errors = 0
  #lastError = 'none'
  #gapMs = 0
  #answeredAt: number

  constructor(options: AskingClientOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#answeredAt = this.#clock.now()
    this.#ended = this.#run()
  }

  async begin(): Promise<void> {
    await this.#nextAnswer()
    this.#answers = 0
    this.#errors = 0
    this.#gapMs = 0
  }

  async end(): Promise<Felt> {
    await this.#nextAnswer()
    return { answers: this.#answers, errors: this.#errors, gapMs: Math.round(this.#gapMs) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      try {
        await this.#options.ask(signal)
        this.#answered()
      } catch (thrown) {
        this.#errors += 1
        this.#lastError = thrown instanceof Error ? thrown.message : String(thrown)
      }
      await this.#clock.sleep(everyMs, signal).catch(() => {})
    }
  }

  #answered(): void {
    const now = this.#clock.now()
    this.#gapMs = Math.max(this.#gapMs, now - this.#answeredAt)
    this.#answeredAt = now
    this.#answers += 1
    for (const tell of this.#waiting.splice(0)) tell()
  }

  /** One that is given from now on or is on its way. */
  async #nextAnswer(): Promise<void> {
    const late = this.#clock.timer(answerWithinMs)
    const answered = new Promise<true>((resolve) => this.#waiting.push(() => resolve(true)))
    try {
      if (await Promise.race([answered, late.elapsed])) return
    } finally {
      late.cancel()
    }
    throw new ReplatformError('routing.failed', {
      message: `A client of the copy of ${this.#options.name} got no answer within ${answerWithinMs / 1_000} s; its last error: ${this.#lastError}.`,
    })
  }
}
