import type { Delivery } from './amqp-channel.ts'
import { frameHeadBytes, readShortText, readTag } from './amqp-wire.ts'

/** In the content header ahead of the properties: class, weight, size of the body. */
const headerBytes = 12

/** A delivery as it arrived; what nobody asks for is not cut out of its frames. */
export class Arrival implements Delivery {
  readonly deliveryTag: number
  readonly redelivered: boolean
  readonly body: Buffer
  /** Arguments of the method, and payload of the content header. */
  readonly #args: Buffer
  readonly #header: Buffer
  /** Where exchange and routing key begin. */
  readonly #routingAt: number

  constructor(args: Buffer, header: Buffer, body: Buffer) {
    const tagAt = 1 + (args[0] as number)
    this.deliveryTag = readTag(args, tagAt)
    this.redelivered = ((args[tagAt + 8] as number) & 1) === 1
    this.body = body
    this.#args = args
    this.#header = header
    this.#routingAt = tagAt + 9
  }

  get consumerTag(): string {
    return readShortText(this.#args, 0).text
  }

  get routing(): Buffer {
    return this.#args.subarray(this.#routingAt)
  }

  get properties(): Buffer {
    return this.#header.subarray(headerBytes)
  }

  get propertyFlags(): number {
    return this.#header.readUInt16BE(headerBytes)
  }

  get bytes(): number {
    return this.#header.length - headerBytes + this.body.length
  }

  /** Undefined where they did not arrive in one piece, or the body took several frames. */
  get contentFrames(): Buffer | undefined {
    const [header, body] = [this.#header, this.body]
    const bodyAt = header.byteOffset + header.length + 1 + frameHeadBytes
    if (body.length === 0 || body.buffer !== header.buffer || body.byteOffset !== bodyAt) return undefined
    const from = header.byteOffset - frameHeadBytes
    return Buffer.from(header.buffer as ArrayBuffer, from, bodyAt + body.length + 1 - from)
  }
}
