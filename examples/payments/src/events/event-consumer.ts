import type { AMQPChannel, AMQPMessage } from '@cloudamqp/amqp-client'
import { type BrokerChannel, openBroker } from './broker.ts'
import type { EventMetrics } from './event-metrics.ts'
import type { Inbox, Taking } from './inbox.ts'
import { keepTrying } from './keep-trying.ts'
import { type PaymentEvent, parseEvent } from './payment-event.ts'
import { type ConsumerName, declareTopology, queuesOf } from './topology.ts'

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

/** Deliveries that are in hand, and at most in one transaction. */
const prefetch = 100
const roundsHeader = 'x-rounds'

/**
 * Takes events off one queue: acknowledged only when the inbox has them. Those that are early or that fail go round by
 * the retry queue; those that never will succeed, or have been round too often, are dead letters.
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
    await using broker = await openBroker(brokerUrl, `consumer ${name}`)
    await declareTopology(broker.channel, retryMs)
    await broker.channel.basicQos(prefetch)
    const waiting: AMQPMessage[] = []
    let wake = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => wake.resolve(), { once: true })
    await broker.channel.basicConsume(queuesOf(name).main, { noAck: false }, (message) => {
      waiting.push(message)
      wake.resolve()
    })
    this.#connected = true
    while (!signal.aborted) {
      await Promise.race([wake.promise, broker.lost])
      wake = Promise.withResolvers<void>()
      // Whatever has come in the meantime, together. Closing the channel gives back what is not acknowledged.
      if (waiting.length > 0) await this.#handle(waiting.splice(0), broker)
    }
  }

  async #handle(messages: readonly AMQPMessage[], { channel, lost }: BrokerChannel): Promise<void> {
    const parsed = messages.map((message) => ({ message, event: eventOf(message) }))
    const events = parsed.flatMap(({ event }) => event ?? [])
    const takings = events.length === 0 ? [] : await this.#options.inbox.take(this.#options.name, events)
    let n = 0
    for (const { message, event } of parsed) {
      const taking = event === undefined ? 'bad' : (takings[n++] ?? 'failed')
      await Promise.race([this.#settle(message, taking, channel), lost])
    }
  }

  async #settle(message: AMQPMessage, taking: Taking, channel: AMQPChannel): Promise<void> {
    const { name, rounds, metrics } = this.#options
    if (taking === 'done' || taking === 'again') {
      metrics.handled(name, taking)
      return await message.ack()
    }
    const round = Number(message.properties.headers?.[roundsHeader] ?? 0) + 1
    if (taking === 'bad' || round > rounds) {
      metrics.handled(name, 'dead')
      return await message.reject(false)
    }
    // Confirmed before it is acknowledged: a crash in between makes it two, of which the inbox takes one.
    const headers = { ...message.properties.headers, [roundsHeader]: round }
    const body = message.body ?? new Uint8Array()
    await channel.basicPublish('', queuesOf(name).retry, body, { ...message.properties, headers })
    metrics.handled(name, 'later')
    await message.ack()
  }
}

function eventOf(message: AMQPMessage): PaymentEvent | undefined {
  try {
    return parseEvent(message.bodyString())
  } catch {
    return undefined
  }
}
