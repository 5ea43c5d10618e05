const chunkBytes = 64 * 1024

export interface ChunkedOutputOptions {
  readonly write: (bytes: Buffer) => void
  /** What is larger is handed over as it is instead of being copied. */
  readonly copiedBytes: number
}

/**
 * Gathers small pieces into a few large ones: a system call for every message would cost more than everything else. What
 * was reserved at once is written at once; where others write to the same connection, that is a whole frame.
 */
export class ChunkedOutput {
  readonly #options: ChunkedOutputOptions
  #chunk = Buffer.allocUnsafeSlow(chunkBytes)
  #used = 0
  #sent = 0

  constructor(options: ChunkedOutputOptions) {
    this.#options = options
  }

  get waitingBytes(): number {
    return this.#used - this.#sent
  }

  /** Where room that `reserve` gave is filled. Not to be kept. */
  get chunk(): Buffer {
    return this.#chunk
  }

  /** The place in `chunk` from which so many bytes are the caller's, to be filled before anything else is called. */
  reserve(bytes: number): number {
    if (this.#used + bytes > this.#chunk.length) {
      // Whoever writes still reads what was given to it: a full chunk is never written again but replaced.
      this.flush()
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes))
      this.#used = 0
      this.#sent = 0
    }
    const at = this.#used
    this.#used += bytes
    return at
  }

  /** What is too large to be copied is written before this returns, behind all that waits. */
  append(bytes: Buffer): void {
    if (bytes.length > this.#options.copiedBytes) {
      this.flush()
      this.#options.write(bytes)
      return
    }
    // The room first: it may be in another chunk.
    const at = this.reserve(bytes.length)
    bytes.copy(this.#chunk, at)
  }

  flush(): void {
    if (this.#used === this.#sent) return
    this.#options.write(this.#chunk.subarray(this.#sent, this.#used))
    this.#sent = this.#used
  }
}
