import type { Socket } from 'node:net'
import { frameEnd, frameHeadBytes, frameType, MethodWriter, method } from './amqp-wire.ts'

const chunkBytes = 64 * 1024
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

/**
 * Collects what is written within one turn of the event loop into few large pieces: a system call for every message
 * would cost more than everything else.
 */
export class FrameWriter {
  readonly #socket: Socket
  #chunk = Buffer.allocUnsafeSlow(chunkBytes)
  #used = 0
  #sent = 0
  #isScheduled = false
  #lastTo: (Addressed & { readonly channel: number; readonly frame: Buffer }) | null = null
  /** The largest payload of a frame that both ends agreed on. */
  payloadMost = 4_096 - frameHeadBytes - 1

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Given to the socket and not taken by the system yet, and what waits for the end of this turn. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#used - this.#sent
  }

  frame(type: number, channel: number, payload: Buffer): void {
    this.#head(type, channel, payload.length)
    this.#append(payload)
    this.#end()
  }

  publish(channel: number, { properties, body, ...to }: Published): void {
    this.#append(this.#publishFrame(channel, to))
    this.#head(frameType.header, channel, headerBytes + properties.length)
    this.#reserve(headerBytes)
    this.#chunk.writeUInt32BE(0x003c0000, this.#used)
    this.#chunk.writeUInt32BE(Math.floor(body.length / 0x1_0000_0000), this.#used + 4)
    this.#chunk.writeUInt32BE(body.length % 0x1_0000_0000, this.#used + 8)
    this.#used += headerBytes
    this.#append(properties)
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
    this.#reserve(head.length + content.length)
    const [chunk, at] = [this.#chunk, this.#used + head.length]
    head.copy(chunk, this.#used)
    content.copy(chunk, at)
    chunk.writeUInt16BE(channel, at + 1)
    chunk.writeUInt16BE(channel, at + bodyAt + 1)
    this.#used = at + content.length
    this.#schedule()
    return true
  }

  flush(): void {
    this.#isScheduled = false
    if (this.#used === this.#sent) return
    this.#socket.write(this.#chunk.subarray(this.#sent, this.#used))
    this.#sent = this.#used
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
    this.#reserve(frameHeadBytes)
    this.#chunk[this.#used] = type
    this.#chunk.writeUInt16BE(channel, this.#used + 1)
    this.#chunk.writeUInt32BE(length, this.#used + 3)
    this.#used += frameHeadBytes
  }

  #append(bytes: Buffer): void {
    if (bytes.length > copiedBytes) {
      this.flush()
      this.#socket.write(bytes)
      return
    }
    this.#reserve(bytes.length)
    bytes.copy(this.#chunk, this.#used)
    this.#used += bytes.length
  }

  #octet(value: number): void {
    this.#reserve(1)
    this.#chunk[this.#used++] = value
  }

  #end(): void {
    this.#octet(frameEnd)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.flush())
  }

  /** The socket still reads what was given to it: a full chunk is never written again but replaced. */
  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#chunk.length) return
    this.flush()
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes))
    this.#used = 0
    this.#sent = 0
  }
}
