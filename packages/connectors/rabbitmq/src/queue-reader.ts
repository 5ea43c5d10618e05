import { ReplatformError } from '@replatform/core/errors'
import type { AmqpChannel } from './amqp-channel.ts'
import type { AmqpConnection } from './amqp-connection.ts'
import type { QueueReading, ReadOptions } from './brokers.ts'
import { DeliveredMessage } from './read-message.ts'

const consumerTag = 'replatform'

/** Reads one queue on a channel and a connection of its own, which `pause` stops reading. */
export async function readQueue(
  connection: AmqpConnection,
  { queue, window, events }: ReadOptions,
): Promise<QueueReading> {
  const channel = await connection.openChannel()
  channel.listen({
    delivery: (delivery) => events.message(new DeliveredMessage(queue, delivery)),
    cancelled: () =>
      events.failed(
        new ReplatformError('rabbitmq.refused', { message: `The queue ${queue} was deleted on the source.` }),
      ),
    failed: (error) => events.failed(error),
  })
  await channel.prefetch(window)
  await channel.consume(queue, consumerTag)
  return new ChannelReading(connection, channel)
}

class ChannelReading implements QueueReading {
  readonly #connection: AmqpConnection
  readonly #channel: AmqpChannel

  constructor(connection: AmqpConnection, channel: AmqpChannel) {
    this.#connection = connection
    this.#channel = channel
  }

  acknowledge(deliveryTag: number): void {
    this.#channel.ack(deliveryTag, true)
  }

  giveBack(deliveryTag: number): void {
    this.#channel.requeue(deliveryTag, false)
  }

  pause(): void {
    this.#connection.pause()
  }

  resume(): void {
    this.#connection.resume()
  }

  async cancel(): Promise<void> {
    this.#connection.resume()
    await this.#channel.cancel(consumerTag)
  }

  async close(): Promise<void> {
    this.#channel.listen({})
    await this.#channel.close()
    await this.#connection[Symbol.asyncDispose]()
  }
}
