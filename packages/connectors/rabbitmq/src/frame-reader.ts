import { invariant } from '@replatform/core/errors'
import { frameEnd, frameHeadBytes } from './amqp-wire.ts'

/** `payload` is a view of what arrived; it stays valid, since what arrives is never written again. */
export type OnFrame = (type: number, channel: number, payload: Buffer) => void

/** Cuts what arrives into frames, wherever the pieces end. */
export class FrameReader {
  readonly #onFrame: OnFrame
  #pieces: Buffer[] = []
  #bytes = 0
  /** Of the frame that is not whole yet, as far as known. */
  #needed = frameHeadBytes

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  take(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    if (this.#bytes < this.#needed) return
    const all = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces, this.#bytes)
    const rest = this.#cut(all)
    this.#pieces = rest.length > 0 ? [rest] : []
    this.#bytes = rest.length
  }

  #cut(all: Buffer): Buffer {
    let at = 0
    for (;;) {
      const left = all.length - at
      if (left < frameHeadBytes) {
        this.#needed = frameHeadBytes
        break
      }
      const end = at + frameHeadBytes + all.readUInt32BE(at + 3)
      if (end >= all.length) {
        this.#needed = end + 1 - at
        break
      }
      invariant(all[end] === frameEnd, 'A frame of AMQP ends with its end octet.')
      this.#onFrame(all[at] as number, all.readUInt16BE(at + 1), all.subarray(at + frameHeadBytes, end))
      at = end + 1
    }
    return all.subarray(at)
  }
}
