import { DatabaseError, Pool } from 'pg'
import type { PaymentEvent } from './payment-event.ts'
import type { ConsumerName } from './topology.ts'

/**
 * `early`: an event before it, of the same account, is missing. `bad`: its content can never be taken. `failed`: the
 * database refused it this time.
 */
export type Taking = 'done' | 'again' | 'early' | 'bad' | 'failed'

/** The consumers' own store: an event is taken together with its effect, or not at all. */
export class Inbox {
  readonly #pool: Pool

  constructor(url: string, onConnectionError: (error: Error) => void) {
    this.#pool = new Pool({ connectionString: url, max: 8, connectionTimeoutMillis: 5000, query_timeout: 15_000 })
    this.#pool.on('error', onConnectionError)
  }

  /** What became of each, in the order given. Rejects when the store gives no answer: then ask again. */
  async take(consumer: ConsumerName, events: readonly PaymentEvent[]): Promise<Taking[]> {
    try {
      return await this.#takeAll(consumer, events)
    } catch (error) {
      const refusal = refusalOf(error)
      if (events.length === 1) return [refusal]
      // One of them is to blame; alone, it does not keep the others from being taken.
      const takings: Taking[] = []
      for (const event of events) takings.push(...(await this.take(consumer, [event])))
      return takings
    }
  }

  async ping(): Promise<void> {
    await this.#pool.query('SELECT 1')
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #takeAll(consumer: ConsumerName, events: readonly PaymentEvent[]): Promise<Taking[]> {
    const text = 'SELECT consumers.take_all($1, $2) AS takings'
    const result = await this.#pool.query<{ takings: Taking[] }>(text, [consumer, JSON.stringify(events)])
    return result.rows[0]?.takings ?? []
  }
}

/** Data that cannot be converted (class 22) or breaks a rule (23) will not become better; other refusals may. */
function refusalOf(error: unknown): 'bad' | 'failed' {
  const code = error instanceof DatabaseError ? error.code : undefined
  if (code === undefined || code.startsWith('08') || code.startsWith('57P')) throw error
  return code.startsWith('22') || code.startsWith('23') ? 'bad' : 'failed'
}
