import pg from 'pg'

/**
 * Pays through one address without a pause and writes down what became of each payment: acknowledged, or unknown when
 * the connection broke before the answer to COMMIT. What was refused before COMMIT is not in the ledger.
 */
export class Payer implements AsyncDisposable {
  readonly acknowledged: string[] = []
  readonly unknown: string[] = []
  readonly #name: string
  readonly #url: string
  readonly #ended: Promise<void>
  #isOver = false
  #count = 0
  #lastAtMs = performance.now()
  #longestGapMs = 0

  constructor(name: string, url: string) {
    this.#name = name
    this.#url = url
    this.#ended = this.#pay()
  }

  /** The longest time between two acknowledgements since the last call. */
  takeLongestGapMs(): number {
    const gap = Math.max(this.#longestGapMs, performance.now() - this.#lastAtMs)
    this.#longestGapMs = 0
    return gap
  }

  /** Ends after the payment that is on its way. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#ended
  }

  async #pay(): Promise<void> {
    while (!this.#isOver) {
      const client = new pg.Client({ connectionString: this.#url, connectionTimeoutMillis: 5_000 })
      client.on('error', () => {})
      try {
        await client.connect()
        while (!this.#isOver) await this.#payOnce(client)
      } catch {
        // Refused or cut off: connects again, as an application does.
      }
      await client.end().catch(() => {})
    }
  }

  async #payOnce(client: pg.Client): Promise<void> {
    const reference = `${this.#name}-${this.#count++}`
    await client.query('BEGIN')
    await client.query(`UPDATE accounts SET balance = balance + 1 WHERE id = ${1 + (this.#count % 100)}`)
    await client.query('INSERT INTO payments (reference, amount) VALUES ($1, 1)', [reference])
    this.unknown.push(reference)
    await client.query('COMMIT')
    this.unknown.pop()
    this.acknowledged.push(reference)
    const now = performance.now()
    this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAtMs)
    this.#lastAtMs = now
  }
}
