import type { FastifyInstance } from 'fastify'
import { createServiceApp } from '../service-app.ts'
import { StoreUnavailable } from '../store-unavailable.ts'
import { EventConsumer } from './event-consumer.ts'
import { EventMetrics } from './event-metrics.ts'
import { Inbox } from './inbox.ts'
import { OutboxRelay } from './outbox-relay.ts'
import { consumerNames } from './topology.ts'

export interface EventServiceOptions {
  readonly ledgerUrl: string
  readonly consumersUrl: string
  /** That the relay publishes to; see `delivery.ts` for its protocol. */
  readonly brokerUrl: string
  /** That the consumers read from, where it is another one. */
  readonly consumersBrokerUrl?: string | undefined
  readonly retryMs: number
  readonly rounds: number
}

/** The relay and all consumers in one process, with its health. */
export class EventService implements AsyncDisposable {
  readonly app: FastifyInstance
  readonly #stop = new AbortController()
  readonly #inbox: Inbox
  readonly #running: Promise<unknown>

  constructor({ ledgerUrl, consumersUrl, consumersBrokerUrl, ...common }: EventServiceOptions) {
    const onFailure = (error: unknown) => this.app.log.warn({ name: nameOf(error) }, 'a connection dropped')
    const metrics = new EventMetrics()
    this.#inbox = new Inbox(consumersUrl, onFailure)
    const relay = new OutboxRelay({ ...common, ledgerUrl, metrics, onFailure })
    const inbox = this.#inbox
    const consumers = consumerNames.map(
      (name) =>
        new EventConsumer({
          ...common,
          brokerUrl: consumersBrokerUrl ?? common.brokerUrl,
          name,
          inbox,
          metrics,
          onFailure,
        }),
    )
    const ready = async () => {
      if (![relay, ...consumers].every(({ connected }) => connected)) throw new StoreUnavailable('not-done', undefined)
      await inbox.ping().catch((error: unknown) => {
        throw new StoreUnavailable('not-done', error)
      })
    }
    this.app = createServiceApp({ name: 'events', ready, metrics: metrics.registry })
    this.#running = Promise.all([relay, ...consumers].map((part) => part.run(this.#stop.signal)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#inbox.close()
    await this.app.close()
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown'
}
