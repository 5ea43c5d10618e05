/** The part of a stream that has come and is not used up: one block of memory, filled at the end, given up at the start. */
export class ByteWindow {
  #bytes = Buffer.allocUnsafeSlow(256 * 1024)
  start = 0
  end = 0

  /** Indexes from `start` to `end` are valid, until the next `push`. */
  get bytes(): Buffer {
    return this.#bytes
  }

  get length(): number {
    return this.end - this.start
  }

  push(chunk: Buffer): void {
    if (this.end + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length)
    chunk.copy(this.#bytes, this.end)
    this.end += chunk.length
  }

  /** What is there, as a copy; nothing is there afterwards. */
  takeRest(): Buffer {
    const rest = Buffer.from(this.#bytes.subarray(this.start, this.end))
    this.start = this.end
    return rest
  }

  #makeRoom(more: number): void {
    const needed = this.length + more
    const fits = needed <= this.#bytes.length && this.#bytes.length <= 4 * needed
    const target = fits ? this.#bytes : Buffer.allocUnsafeSlow(Math.max(256 * 1024, 2 * needed))
    this.#bytes.copy(target, 0, this.start, this.end)
    this.#bytes = target
    this.end = this.length
    this.start = 0
  }
}
