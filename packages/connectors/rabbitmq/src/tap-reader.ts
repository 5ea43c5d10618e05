import { setTimeout as sleep } from 'node:timers/promises'
import type { AmqpConnection } from './amqp-connection.ts'
import { readShortText } from './amqp-wire.ts'
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
      delivery: (copy) => {
        const name = reader.#names.get(readShortText(copy.routing, 0).text)
        if (name !== undefined) reader.tap.take(copy, name)
        channel.ack(copy.deliveryTag, false)
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

  /** Until no copy is under way any more, or the time is over. */
  async settle(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    while (this.tap.waiting > 0 && performance.now() < deadline) await sleep(5)
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
