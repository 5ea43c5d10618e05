import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import type { EventMetrics } from './event-metrics.ts'
import { keepTrying } from './keep-trying.ts'
import type { PaymentEvent } from './payment-event.ts'
import { openPublisher } from './publisher.ts'

export interface RelayOptions {
  readonly ledgerUrl: string
  readonly brokerUrl: string
  readonly retryMs: number
  readonly metrics: EventMetrics
  readonly onFailure: (error: unknown) => void
}

const batchRows = 200
const idleMs = 25
/** Of the ledger: one relay at a time, so that events leave in the order of their numbers. */
const relayLock = 7_300_001

const unpublished = `
  SELECT id AS event, topic, subject, payload FROM ledger.outbox
   WHERE published_at IS NULL ORDER BY id LIMIT ${batchRows}`

/**
 * Carries events from the ledger's outbox to the exchange: in order, marked as published only when the broker has
 * confirmed them. After a failure in between it publishes them again; consumers know them by their number.
 */
export class OutboxRelay {
  readonly #options: RelayOptions
  #connected = false

  constructor(options: RelayOptions) {
    this.#options = options
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Returns after the signal, when what was begun is confirmed and marked. */
  async run(signal: AbortSignal): Promise<void> {
    const { onFailure } = this.#options
    await keepTrying(() => this.#relay(signal).finally(() => (this.#connected = false)), { signal, onFailure })
  }

  async #relay(signal: AbortSignal): Promise<void> {
    await using publisher = await openPublisher(this.#options.brokerUrl, this.#options.retryMs)
    await using ledger = await openLedger(this.#options.ledgerUrl)
    this.#connected = true
    while (!signal.aborted) {
      const published = await inTransaction(ledger.client, async () => {
        const events = await this.#nextEvents(ledger.client)
        if (events.length === 0) return 0
        await publisher.publish(events)
        const ids = events.map(({ event }) => event)
        await ledger.client.query('UPDATE ledger.outbox SET published_at = now() WHERE id = ANY ($1)', [ids])
        return events.length
      })
      this.#options.metrics.published(published)
      if (published === 0) await Promise.race([delay(idleMs), publisher.lost, ledger.lost])
    }
  }

  async #nextEvents(client: Client): Promise<PaymentEvent[]> {
    const lock = await client.query<{ held: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS held', [relayLock])
    if (!lock.rows[0]?.held) return []
    return (await client.query<PaymentEvent>(unpublished)).rows
  }
}

async function inTransaction<Value>(client: Client, work: () => Promise<Value>): Promise<Value> {
  await client.query('BEGIN')
  try {
    const value = await work()
    await client.query('COMMIT')
    return value
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

interface Ledger extends AsyncDisposable {
  readonly client: Client
  readonly lost: Promise<never>
}

async function openLedger(connectionString: string): Promise<Ledger> {
  const client = new Client({ connectionString, application_name: 'outbox-relay', query_timeout: 15_000 })
  const { promise: lost, reject } = Promise.withResolvers<never>()
  lost.catch(() => undefined)
  client.on('error', reject)
  await client.connect()
  return { client, lost, [Symbol.asyncDispose]: () => client.end().catch(() => undefined) }
}
