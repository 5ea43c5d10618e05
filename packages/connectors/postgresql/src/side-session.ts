import { toPostgresqlError } from './postgresql-error.ts'
import { describe, openSession, type Session, type SessionOptions } from './session.ts'

/**
 * One session to one side that stays open between verbs, since connecting is what would take the time in a write
 * pause. Work on it is done one after the other; a session that failed is replaced for the next.
 */
export class SideSession implements AsyncDisposable {
  readonly #options: SessionOptions
  #session: Session | null = null
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
    this.#session ??= await openSession(this.#options)
    try {
      return await work(this.#session)
    } catch (thrown) {
      await this.#drop()
      throw toPostgresqlError(thrown, describe(this.#options.endpoint.url, this.#options.side))
    }
  }

  async #drop(): Promise<void> {
    const session = this.#session
    this.#session = null
    await session?.end().catch(() => {})
  }
}
