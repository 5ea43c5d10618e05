import { pollUntil } from '@replatform/testkit/poll-until'
import pg from 'pg'

export interface LockHolderOptions {
  readonly url: string
  /** Taken in one transaction that stays open. */
  readonly sql: string
  /** The move in whose name it stands there, so that its fence neither refuses nor ends it. */
  readonly move: string
}

/**
 * Makes one step of a move wait at a named place, for as long as a test needs: it holds what the step's statement has
 * to lock. So a process can be killed in the very middle of the step, without a hook in the product.
 */
export class LockHolder implements AsyncDisposable {
  readonly #client: pg.Client
  #isReleased = false

  static async hold({ url, sql, move }: LockHolderOptions): Promise<LockHolder> {
    const client = new pg.Client({
      connectionString: url,
      application_name: `replatform ${move} test`,
      options: `-c replatform.mover=${move}`,
    })
    client.on('error', () => {})
    await client.connect()
    await client.query(`BEGIN; ${sql}`)
    return new LockHolder(client)
  }

  private constructor(client: pg.Client) {
    this.#client = client
  }

  /** Inside the transaction that holds the lock. */
  async query(sql: string): Promise<void> {
    await this.#client.query(sql)
  }

  /** Until somebody waits for what is held here. */
  async blocksSomebody(): Promise<void> {
    await pollUntil('somebody waits for the lock', async () => {
      const { rowCount } = await this.#client.query(
        'SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))',
      )
      return rowCount
    })
  }

  /** What was done in the transaction stays. */
  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    await this.#client.query('COMMIT')
    await this.#client.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isReleased) await this.#client.end().catch(() => {})
    this.#isReleased = true
  }
}
