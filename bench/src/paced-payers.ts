import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

export interface PacedOptions {
  readonly url: string
  readonly perSecond: number
  /** Connections; each has a payment under way at most. */
  readonly clients: number
}

/**
 * Payments that fall due at a steady rate, whatever becomes of those before: each waits from the instant that it was
 * due at, so that a payer who could not even ask has waited too. One that is refused or cut off is asked again.
 */
export class PacedPayers implements AsyncDisposable {
  acknowledged = 0
  readonly #options: PacedOptions
  readonly #paying: Promise<unknown>
  readonly #waiting = new Map<number, number>()
  #longestMs = 0
  #isOver = false

  constructor(options: PacedOptions) {
    this.#options = options
    this.#paying = Promise.all(Array.from({ length: options.clients }, (_, n) => this.#client(n)))
  }

  /** The longest that a payment waited for its acknowledgement since the last call, those that wait now included. */
  takeLongestMs(): number {
    const now = performance.now()
    const longest = Math.max(this.#longestMs, ...[...this.#waiting.values()].map((dueAt) => now - dueAt))
    this.#longestMs = 0
    return longest
  }

  /** Ends after the payments that are under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#paying
  }

  async #client(n: number): Promise<void> {
    const { perSecond, clients, url } = this.#options
    const everyMs = (1_000 * clients) / perSecond
    let dueAt = performance.now() + (everyMs * n) / clients
    let count = 0
    while (!this.#isOver) {
      const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
      client.on('error', () => {})
      try {
        await client.connect()
        while (!this.#isOver) {
          await sleep(Math.max(dueAt - performance.now(), 0))
          this.#waiting.set(n, dueAt)
          await pay(client, `payer-${n}-${count}`)
          this.#waiting.delete(n)
          this.#longestMs = Math.max(this.#longestMs, performance.now() - dueAt)
          this.acknowledged += 1
          count += 1
          dueAt += everyMs
        }
      } catch {
        // Refused or cut off: connects again and asks for the same payment, as an application does.
      }
      await client.end().catch(() => {})
    }
  }
}

/** Idempotent by its reference. */
async function pay(client: pg.Client, reference: string): Promise<void> {
  await client.query('BEGIN')
  const { rowCount } = await client.query(
    'INSERT INTO payments (reference, amount) VALUES ($1, 1) ON CONFLICT (reference) DO NOTHING',
    [reference],
  )
  if (rowCount)
    await client.query('UPDATE accounts SET balance = balance + 1 WHERE id = 1 + (hashtext($1) & 511)', [reference])
  await client.query('COMMIT')
}
