import { type Connection, type ConnectionOptions, openServer } from './connection.ts'
import { findPrimary } from './sentinel.ts'

/**
 * One connection to one side that stays open between verbs, since connecting takes time in a write pause. Work on it is
 * done one after the other, beginning in database 0; after a failure the next gets a new one.
 */
export class SideConnection implements AsyncDisposable {
  readonly #options: ConnectionOptions
  #connection: Connection | null = null
  /** Its address. */
  #server: string | null = null
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  use<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#run(work))
    this.#last = result.catch(() => {})
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
    this.#drop()
  }

  async #run<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const { url, side } = this.#options
    // Where sentinels are asked, another server may have taken over since.
    const server = await findPrimary(url, side)
    if (server !== this.#server) this.#drop()
    this.#server = server
    this.#connection ??= await openServer({ url: server, side })
    try {
      return await work(this.#connection)
    } catch (thrown) {
      this.#drop()
      throw thrown
    }
  }

  #drop(): void {
    this.#connection?.close()
    this.#connection = null
  }
}
