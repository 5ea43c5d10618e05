/**
 * Cuts the bytes of a replication connection into messages, in place: a message that came whole is a range of the chunk
 * that it came in. What is larger is handed over as it comes.
 */

export interface FrameHandler {
  /** A whole message with its type byte and length: `data[at, end)`. The buffer stays valid as long as it is referenced. */
  frame(data: Buffer, at: number, end: number): void
  /** A message of so many bytes, type and length included, begins, which is not here whole. */
  large(bytes: number): LargeFrameSink
}

export interface LargeFrameSink {
  /** The next bytes of the message. */
  take(data: Buffer, from: number, to: number): void
  /** All of it was taken. */
  end(): void
}

/** Smaller ones wait for their rest. */
const largeBytesLeast = 128 * 1024

export class FrameWalker {
  readonly #handler: FrameHandler
  #carry: Buffer = Buffer.alloc(0)
  #large: { readonly sink: LargeFrameSink; left: number } | null = null

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /** Throws what the handler throws. */
  take(arrived: Buffer): void {
    let chunk = arrived
    if (this.#large) {
      const from = this.#fillLarge(this.#large, chunk, 0)
      if (from === chunk.length) return
      chunk = chunk.subarray(from)
    } else if (this.#carry.length > 0) {
      chunk = joined(this.#carry, chunk)
      this.#carry = Buffer.alloc(0)
    }
    this.#walk(chunk)
  }

  #walk(chunk: Buffer): void {
    let at = 0
    while (chunk.length - at >= 5) {
      const size = chunk.readInt32BE(at + 1) + 1
      if (chunk.length - at < size) {
        if (size < largeBytesLeast) break
        this.#large = { sink: this.#handler.large(size), left: size }
        this.#fillLarge(this.#large, chunk, at)
        return
      }
      this.#handler.frame(chunk, at, at + size)
      at += size
    }
    if (at < chunk.length) this.#carry = chunk.subarray(at)
  }

  /** Returns where what follows the large message begins. */
  #fillLarge(large: { readonly sink: LargeFrameSink; left: number }, chunk: Buffer, from: number): number {
    const to = Math.min(from + large.left, chunk.length)
    large.sink.take(chunk, from, to)
    large.left -= to - from
    if (large.left > 0) return to
    this.#large = null
    large.sink.end()
    return to
  }
}

/** What was read behind the other, into the same memory, is one already. */
function joined(first: Buffer, second: Buffer): Buffer {
  const isBehind = first.buffer === second.buffer && first.byteOffset + first.length === second.byteOffset
  if (!isBehind) return Buffer.concat([first, second])
  return Buffer.from(first.buffer, first.byteOffset, first.length + second.length)
}
