/**
 * Copies on ActiveMQ: a message that goes to two queues at once, by a composite destination, so that the broker itself
 * makes the copy within the transaction. What is read back is held, in the terms of the source, against what was read.
 */
import type { SourceMessage } from '@replatform/connector-rabbitmq/source-message'
import type { Tap } from '@replatform/connector-rabbitmq/tap'
import type { Connection, EventContext, Receiver } from 'rhea'
import { restoreFromActivemq } from './message-restoring.ts'

const creditWindow = 100

export interface TapOptions {
  readonly connection: Connection
  /** As the plan calls it. */
  readonly name: string
  /** Of the target. */
  readonly queue: string
  readonly tapQueue: string
  /** Every so many-th message is copied. */
  readonly every: number
  /** The queue gives each message a time to live. */
  readonly hasOtherLife: boolean
  readonly tap: Tap
}

/** The copies of one queue, while its sink is open. Nothing may be left in the tap's queue by an earlier mover. */
export class QueueTap {
  /** Where messages go that are to be copied. */
  readonly address: string
  readonly #options: TapOptions
  readonly #receiver: Receiver
  #sent = 0

  constructor(options: TapOptions) {
    const { connection, queue, tapQueue, tap } = options
    this.#options = options
    this.address = `queue://${queue},${tapQueue}`
    tap.forget(tapQueue)
    this.#receiver = connection.open_receiver({ source: `queue://${tapQueue}`, credit_window: creditWindow })
    this.#receiver.on('message', ({ message }: EventContext) => message && this.#came(message))
  }

  /** Whether this message is one of those. Counts them. */
  takes(): boolean {
    const { tap, every } = this.#options
    return tap.hasRoom && this.#sent++ % every === 0
  }

  /** Call before the commit: the copy comes at once. */
  willCommit(message: SourceMessage): void {
    this.#options.tap.expect(this.#options.tapQueue, message)
  }

  close(): void {
    this.#receiver.close()
  }

  #came(message: NonNullable<EventContext['message']>): void {
    const { tap, tapQueue, name, hasOtherLife } = this.#options
    tap.take(tapQueue, { ...restoreFromActivemq(message, Date.now()), hasOtherLife }, name)
  }
}
