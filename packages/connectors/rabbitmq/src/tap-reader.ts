import type { AmqpConnection } from './amqp-connection.ts'
import { readProperties } from './message-properties.ts'
import { DeliveredMessage } from './read-message.ts'
import { Tap } from './tap.ts'

/** Reads the copies while it is open; acknowledges each, so that none is left. */
export class TapReader implements AsyncDisposable {
  readonly tap = new Tap()
  readonly #connection: AmqpConnection
  /** What the plan calls the queue that an exchange copies to. */
  readonly #names = new Map<string, string>()

  static async open(connection: AmqpConnection, queue: string): Promise<TapReader> {
    const channel = await connection.openChannel()
    const reader = new TapReader(connection)
    channel.listen({
      delivery: (delivery) => {
        const { exchange, routingKey, body } = new DeliveredMessage(queue, delivery)
        const name = reader.#names.get(exchange)
        const copy = { routingKey, properties: readProperties(delivery.properties), body }
        if (name !== undefined) reader.tap.take(exchange, copy, name)
        channel.ack(delivery.deliveryTag, false)
      },
    })
    await channel.prefetch(100)
    await channel.consume(queue, 'replatform')
    return reader
  }

  private constructor(connection: AmqpConnection) {
    this.#connection = connection
  }

  /** Every so many-th message of this queue. */
  of(exchange: string, name: string, every: number): SinkTap {
    this.#names.set(exchange, name)
    return { exchange, every, tap: this.tap }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]()
  }
}

export interface SinkTap {
  /** Leads to the queue and to the copies. */
  readonly exchange: string
  readonly every: number
  readonly tap: Tap
}
