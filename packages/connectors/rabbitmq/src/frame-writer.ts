import type { Socket } from 'node:net'
import { frameEnd, frameHeadBytes, frameType, MethodWriter, method } from './amqp-wire.ts'
import { ChunkedOutput } from './chunked-output.ts'

/** Larger bodies are handed to the socket as they are instead of being copied. */
const copiedBytes = 8 * 1024
const headerBytes = 12

export interface Addressed {
  /** Both as short texts. */
  readonly exchange: Buffer
  readonly routingKey: Buffer
  readonly mandatory: boolean
}

export interface Published extends Addressed {
  readonly properties: Buffer
  readonly body: Buffer
}

/** Collects what is written within one turn of the event loop. */
export class FrameWriter {
  readonly #socket: Socket
  readonly #output: ChunkedOutput
  #isScheduled = false
  #lastTo: (Addressed & { readonly channel: number; readonly frame: Buffer }) | null = null
  /** The largest payload of a frame that both ends agreed on. */
  payloadMost = 4_096 - frameHeadBytes - 1

  constructor(socket: Socket) {
    this.#socket = socket
    this.#output = new ChunkedOutput({ write: (bytes) => socket.write(bytes), copiedBytes })
  }

  /** Given to the socket and not taken by the system yet, and what waits for the end of this turn. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#output.waitingBytes
  }

  frame(type: number, channel: number, payload: Buffer): void {
    this.#head(type, channel, payload.length)
    this.#output.append(payload)
    this.#end()
  }

  publish(channel: number, { properties, body, ...to }: Published): void {
    const output = this.#output
    output.append(this.#publishFrame(channel, to))
    this.#head(frameType.header, channel, headerBytes + properties.length)
    const at = output.reserve(headerBytes)
    output.chunk.writeUInt32BE(0x003c0000, at)
    output.chunk.writeUInt32BE(Math.floor(body.length / 0x1_0000_0000), at + 4)
    output.chunk.writeUInt32BE(body.length % 0x1_0000_0000, at + 8)
    output.append(properties)
    this.#end()
    for (let at = 0; at < body.length; at += this.payloadMost) {
      this.frame(frameType.body, channel, body.subarray(at, at + this.payloadMost))
    }
  }

  /** As `publish`; `content` is a content header and a body of one frame each, as another connection has received them. */
  publishFrames(channel: number, to: Addressed, content: Buffer): boolean {
    const bodyAt = frameHeadBytes + content.readUInt32BE(3) + 1
    if (content.length > copiedBytes || content.length - bodyAt - frameHeadBytes - 1 > this.payloadMost) return false
    const head = this.#publishFrame(channel, to)
    const start = this.#output.reserve(head.length + content.length)
    const { chunk } = this.#output
    const at = start + head.length
    head.copy(chunk, start)
    content.copy(chunk, at)
    chunk.writeUInt16BE(channel, at + 1)
    chunk.writeUInt16BE(channel, at + bodyAt + 1)
    this.#schedule()
    return true
  }

  flush(): void {
    this.#isScheduled = false
    this.#output.flush()
  }

  /** The method's frame; most messages go where the one before went. */
  #publishFrame(channel: number, { exchange, routingKey, mandatory }: Addressed): Buffer {
    const last = this.#lastTo
    if (
      last?.exchange === exchange &&
      last.channel === channel &&
      last.mandatory === mandatory &&
      last.routingKey.equals(routingKey)
    ) {
      return last.frame
    }
    const bits = mandatory ? 1 : 0
    const payload = new MethodWriter(method.basicPublish).short(0).raw(exchange).raw(routingKey).octet(bits).done()
    const frame = Buffer.allocUnsafe(frameHeadBytes + payload.length + 1)
    frame[0] = frameType.method
    frame.writeUInt16BE(channel, 1)
    frame.writeUInt32BE(payload.length, 3)
    payload.copy(frame, frameHeadBytes)
    frame[frame.length - 1] = frameEnd
    this.#lastTo = { channel, exchange, routingKey, mandatory, frame }
    return frame
  }

  #head(type: number, channel: number, length: number): void {
    const at = this.#output.reserve(frameHeadBytes)
    const { chunk } = this.#output
    chunk[at] = type
    chunk.writeUInt16BE(channel, at + 1)
    chunk.writeUInt32BE(length, at + 3)
  }

  #end(): void {
    const at = this.#output.reserve(1)
    this.#output.chunk[at] = frameEnd
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.flush())
  }
}
