import type { Delivery } from './amqp-channel.ts'
import { readShortText } from './amqp-wire.ts'
import type { SourceMessage } from './source-message.ts'

/** A delivery as a message; names are decoded when somebody asks. */
export class DeliveredMessage implements SourceMessage {
  readonly queue: string
  readonly deliveryTag: number
  readonly #delivery: Delivery

  constructor(queue: string, delivery: Delivery) {
    this.queue = queue
    this.deliveryTag = delivery.deliveryTag
    this.#delivery = delivery
  }

  get redelivered(): boolean {
    return this.#delivery.redelivered
  }

  get exchange(): string {
    return readShortText(this.#delivery.routing, 0).text
  }

  get routingKey(): string {
    return readShortText(this.#delivery.routing, readShortText(this.#delivery.routing, 0).end).text
  }

  /** The routing key as a short text, its bytes untouched. */
  get routingKeyBytes(): Buffer {
    const { routing } = this.#delivery
    return routing.subarray(1 + (routing[0] as number))
  }

  get properties(): Buffer {
    return this.#delivery.properties
  }

  get propertyFlags(): number {
    return this.#delivery.propertyFlags
  }

  get body(): Buffer {
    return this.#delivery.body
  }

  get bytes(): number {
    return this.#delivery.bytes
  }

  /** Content header and body as the frames that arrived; undefined where these do not stand together. */
  get contentFrames(): Buffer | undefined {
    return this.#delivery.contentFrames
  }
}
