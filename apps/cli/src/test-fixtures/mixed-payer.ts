import type { RedisClient, RedisServer } from '@replatform/testkit/redis-server'
import pg from 'pg'

export interface MixedPayerOptions {
  /** Through PgBouncer. */
  readonly ledgerUrl: string
  /** Through HAProxy. */
  readonly cacheUrl: string
  /** Any server of the rig: it knows how to connect. */
  readonly redis: RedisServer
}

/**
 * Writes each payment into the ledger, then its idempotency key into the cache, and only then counts it as
 * acknowledged; what failed in between is asked for again under the same reference, as a gateway does.
 */
export class MixedPayer implements AsyncDisposable {
  readonly acknowledged: string[] = []
  readonly #options: MixedPayerOptions
  readonly #ended: Promise<void>
  #isOver = false

  constructor(options: MixedPayerOptions) {
    this.#options = options
    this.#ended = this.#pay()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#ended
  }

  async #pay(): Promise<void> {
    for (let count = 0; !this.#isOver; count++) await this.#payUntilDone(`payment-${count}`)
  }

  async #payUntilDone(reference: string): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#payOnce(reference)
        return
      } catch {
        // Refused, held too long or cut off: asked again.
      }
    }
  }

  async #payOnce(reference: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.#options.ledgerUrl, connectionTimeoutMillis: 5_000 })
    client.on('error', () => {})
    let cache: (RedisClient & AsyncDisposable) | undefined
    try {
      await client.connect()
      await client.query('INSERT INTO payments (reference, amount) VALUES ($1, 1) ON CONFLICT DO NOTHING', [reference])
      cache = await this.#options.redis.connect(this.#options.cacheUrl)
      await cache.set(`paid:${reference}`, 'yes')
      this.acknowledged.push(reference)
    } finally {
      await cache?.[Symbol.asyncDispose]()
      await client.end().catch(() => {})
    }
  }
}
