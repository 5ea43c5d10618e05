/**
 * Publishes to one queue of RabbitMQ, whatever the message had been published to: through an exchange of our own that
 * leads to that queue alone. So the routing key stays what it was (by the default exchange it would become the queue's
 * name), a CC header of the message cannot bring it to further queues, and no binding is asked.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { AmqpChannel } from './amqp-channel.ts'
import type { AmqpConnection } from './amqp-connection.ts'
import { shortText } from './field-table.ts'
import { forwardedProperties, mayChange } from './forwarded-properties.ts'
import type { MessageSink, SinkEvents } from './message-sink.ts'
import { DeliveredMessage } from './read-message.ts'
import type { SourceMessage } from './source-message.ts'
import type { SinkTap } from './tap-reader.ts'

export interface RabbitmqSinkOptions {
  readonly connection: AmqpConnection
  readonly exchange: string
  readonly tap: SinkTap | null
  readonly events: SinkEvents
  readonly now?: () => number
}

export async function openRabbitmqSink(options: RabbitmqSinkOptions): Promise<MessageSink> {
  const channel = await options.connection.openChannel()
  await channel.confirmSelect()
  return new RabbitmqSink(channel, options)
}

class RabbitmqSink implements MessageSink {
  readonly delivery = 'at-least-once'
  readonly #channel: AmqpChannel
  readonly #connection: AmqpConnection
  readonly #events: SinkEvents
  readonly #exchange: Buffer
  readonly #tap: SinkTap | null
  readonly #tapExchange: Buffer
  #sent = 0
  readonly #now: () => number
  /** By order of publishing; the first is number `#first`. Null: confirmed already. */
  #underWay: (SourceMessage | null)[] = []
  #first = 1
  #failure: ReplatformError | null = null

  constructor(channel: AmqpChannel, { connection, exchange, tap, events, now = Date.now }: RabbitmqSinkOptions) {
    this.#channel = channel
    this.#connection = connection
    this.#events = events
    this.#exchange = shortText(exchange)
    this.#tap = tap
    this.#tapExchange = shortText(tap?.exchange ?? '')
    this.#now = now
    channel.listen({
      confirmed: (tag, multiple, isRefused) => this.#settle(tag, multiple, isRefused),
      // Its confirmation follows at once and must not count: see #settle.
      returned: (code, text) =>
        this.#fail(
          new ReplatformError('rabbitmq.refused', {
            message: `The target could not route to its queue: ${code} ${text}.`,
          }),
        ),
      failed: (error) => this.#fail(error),
    })
  }

  send(message: SourceMessage): void {
    if (this.#failure) return
    this.#underWay.push(message)
    const to = { exchange: this.#exchangeFor(message), routingKey: routingKeyOf(message), mandatory: true }
    const content = framesOf(message)
    if (content && this.#channel.publishFrames(to, content)) return
    const properties = forwardedProperties(message.properties, this.#now())
    this.#channel.publish({ ...to, properties, body: message.body })
  }

  flush(): void {}

  acknowledged(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.listen({})
    await this.#channel.close()
    await this.#connection[Symbol.asyncDispose]()
  }

  #exchangeFor(message: SourceMessage): Buffer {
    const { every = 0, tap, exchange = '' } = this.#tap ?? {}
    if (!tap?.hasRoom || this.#sent++ % every !== 0) return this.#exchange
    tap.expect(exchange, message)
    return this.#tapExchange
  }

  #settle(tag: number, multiple: boolean, isRefused: boolean): void {
    if (this.#failure) return
    for (let number = multiple ? this.#first : tag; number <= tag; number++) this.#settleOne(number, isRefused)
    let settled = 0
    while (settled < this.#underWay.length && this.#underWay[settled] === null) settled++
    if (settled === 0) return
    this.#underWay.splice(0, settled)
    this.#first += settled
  }

  #settleOne(number: number, isRefused: boolean): void {
    const index = number - this.#first
    const message = this.#underWay[index]
    if (!message) return
    this.#underWay[index] = null
    if (isRefused) this.#events.refused(message, full())
    else this.#events.confirmed(message, 'stored')
  }

  #fail(error: ReplatformError): void {
    if (this.#failure) return
    this.#failure = error
    this.#events.failed(error)
  }
}

/** The content as it arrived, where nothing of it must be changed. */
function framesOf(message: SourceMessage): Buffer | undefined {
  if (!(message instanceof DeliveredMessage) || mayChange(message.propertyFlags)) return undefined
  return message.contentFrames
}

function routingKeyOf(message: SourceMessage): Buffer {
  return message instanceof DeliveredMessage ? message.routingKeyBytes : shortText(message.routingKey)
}

/** RabbitMQ says no more than that it refused: the queue is at its limit, or could not write. */
function full(): ReplatformError {
  return new ReplatformError('target.full', { message: 'A queue of the target refused a message: it is at its limit.' })
}
