import { type Delivery, type Subscription, subscribe } from './delivery.ts'
import type { EventMetrics } from './event-metrics.ts'
import type { Inbox, Taking } from './inbox.ts'
import { keepTrying } from './keep-trying.ts'
import { type PaymentEvent, parseEvent } from './payment-event.ts'
import type { ConsumerName } from './topology.ts'

export interface ConsumerOptions {
  readonly name: ConsumerName
  readonly brokerUrl: string
  readonly inbox: Pick<Inbox, 'take'>
  readonly retryMs: number
  /** Rounds through the retry queue before an event is given up. */
  readonly rounds: number
  readonly metrics: EventMetrics
  readonly onFailure: (error: unknown) => void
}

/**
 * Takes events off one queue: acknowledged only when the inbox has them. Those that are early or that fail come again
 * after a while; those that never will succeed, or have been round too often, are dead letters.
 */
export class EventConsumer {
  readonly #options: ConsumerOptions
  #connected = false

  constructor(options: ConsumerOptions) {
    this.#options = options
  }

  get connected(): boolean {
    return this.#connected
  }

  async run(signal: AbortSignal): Promise<void> {
    const { onFailure } = this.#options
    await keepTrying(() => this.#consume(signal).finally(() => (this.#connected = false)), { signal, onFailure })
  }

  async #consume(signal: AbortSignal): Promise<void> {
    const { name, brokerUrl, retryMs } = this.#options
    const waiting: Delivery[] = []
    let wake = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => wake.resolve(), { once: true })
    const onDelivery = (delivery: Delivery) => {
      waiting.push(delivery)
      wake.resolve()
    }
    await using subscription = await subscribe({ brokerUrl, name, retryMs, onDelivery })
    this.#connected = true
    while (!signal.aborted) {
      await Promise.race([wake.promise, subscription.lost])
      wake = Promise.withResolvers<void>()
      // Whatever has come in the meantime, together. Leaving gives back what is not settled.
      if (waiting.length > 0) await this.#handle(waiting.splice(0), subscription)
    }
  }

  async #handle(deliveries: readonly Delivery[], { lost }: Subscription): Promise<void> {
    const parsed = deliveries.map((delivery) => ({ delivery, event: eventOf(delivery) }))
    const events = parsed.flatMap(({ event }) => event ?? [])
    const takings = events.length === 0 ? [] : await this.#options.inbox.take(this.#options.name, events)
    let n = 0
    for (const { delivery, event } of parsed) {
      const taking = event === undefined ? 'bad' : (takings[n++] ?? 'failed')
      await Promise.race([this.#settle(delivery, taking), lost])
    }
  }

  async #settle(delivery: Delivery, taking: Taking): Promise<void> {
    const { name, rounds, metrics } = this.#options
    if (taking === 'done' || taking === 'again') {
      metrics.handled(name, taking)
      return await delivery.done()
    }
    const round = delivery.round + 1
    if (taking === 'bad' || round > rounds) {
      metrics.handled(name, 'dead')
      return await delivery.dead()
    }
    metrics.handled(name, 'later')
    await delivery.later(round)
  }
}

function eventOf({ text }: Delivery): PaymentEvent | undefined {
  try {
    return parseEvent(text)
  } catch {
    return undefined
  }
}
