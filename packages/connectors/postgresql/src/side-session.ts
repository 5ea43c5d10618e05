import { setTimeout as sleep } from 'node:timers/promises'
import { toPostgresqlError } from './postgresql-error.ts'
import { closeSession, describe, openSession, type Session, type SessionOptions } from './session.ts'

/** A session that was used just now needs no proof that it works. */
const freshMs = 10_000
const answerWithinMs = 300

/**
 * One session to one side that stays open between verbs, since connecting is what would take the time in a write
 * pause. Work on it is done one after the other; a session that failed is replaced for the next.
 */
export class SideSession implements AsyncDisposable {
  readonly #options: SessionOptions
  #session: Session | null = null
  #usedAt = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: SessionOptions) {
    this.#options = options
  }

  use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#run(work))
    this.#last = result.catch(() => {})
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
    await this.#drop()
  }

  async #run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    await this.#dropIfStale()
    this.#session ??= await openSession(this.#options)
    try {
      return await work(this.#session)
    } catch (thrown) {
      await this.#drop()
      throw toPostgresqlError(thrown, describe(this.#options.endpoint.url, this.#options.side))
    } finally {
      this.#usedAt = performance.now()
    }
  }

  /** Firewalls forget a connection that was silent for long, often without a word to either end. */
  async #dropIfStale(): Promise<void> {
    if (!this.#session || performance.now() - this.#usedAt < freshMs) return
    const answers = this.#session.query('SELECT 1').then(
      () => true,
      () => false,
    )
    const isAlive = await Promise.race([answers, sleep(answerWithinMs, false)])
    if (!isAlive) await this.#drop()
  }

  async #drop(): Promise<void> {
    const session = this.#session
    this.#session = null
    if (session) await closeSession(session)
  }
}
