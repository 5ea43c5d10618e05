import type { Session } from './session.ts'
import { SocketTap } from './socket-tap.ts'
import { messageType, RawQuery, submit } from './wire.ts'

/** Signature, flags and the length of the header's extension, which is empty. */
const copyHeaderBytes = 19
/** What may wait unread before the server is made to wait. */
const readAheadBytes = 512 * 1024
/** A row's smallest message; the trailer's is shorter. */
const rowBytesLeast = 11
/** How much is held against the other side at once. */
const blockBytes = 64 * 1024

/**
 * The rows of a binary COPY TO, read one after the other in place: `bytes[starts[i], starts[i] + lengths[i])` is leading
 * field `i` of the current row, −1 a null, and `bytes[restStart, restEnd)` all behind them. `next` is synchronous for as long as bytes are there, because a comparison
 * that awaited each of a hundred million rows would do little else.
 */
export class RowStream {
  bytes: Buffer = Buffer.alloc(0)
  readonly starts: Int32Array
  readonly lengths: Int32Array
  restStart = 0
  restEnd = 0
  /** Whether there is a current row; false before the first and after the last. */
  hasRow = false
  readonly #query: RawQuery
  readonly #tap: SocketTap
  #at = 0
  #incoming: Buffer[] = []
  #incomingBytes = 0
  #wake = Promise.withResolvers<void>()
  #isFirst = true
  #hasEnded = false
  #failure: Error | undefined

  /** `fields`: how many leading fields are told apart. */
  constructor(session: Session, copy: { readonly statement: string; readonly fields: number }) {
    this.starts = new Int32Array(copy.fields)
    this.lengths = new Int32Array(copy.fields)
    this.#query = new RawQuery(copy.statement)
    this.#tap = new SocketTap(session, (chunk) => this.#receive(chunk))
    submit(session, this.#query)
    this.#wake.promise.catch(() => {})
    this.#query.done.catch((error: Error) => {
      this.#failure = error
      this.#wake.reject(error)
    })
  }

  /** Goes to the next row, or past the last one. False: more bytes are needed, call `refill`. */
  next(): boolean {
    if (this.#hasEnded) {
      this.hasRow = false
      return true
    }
    for (;;) {
      const { bytes } = this
      const at = this.#at
      if (bytes.length - at < 5) return false
      const size = bytes.readInt32BE(at + 1) + 1
      const type = bytes[at]
      if (type === messageType.copyDone || type === messageType.error) {
        this.#handOver()
        return type === messageType.copyDone
      }
      if (bytes.length - at < size) return false
      this.#at = at + size
      if (type !== messageType.copyData) this.#tap.pass(bytes.subarray(at, at + size))
      else if (this.#parse(at + 5)) return true
    }
  }

  /**
   * Passes over the rows behind the current one that are the same bytes on the other stream, as far as they are here on
   * both, and says how many they were. Call `next` on both afterwards.
   */
  passSame(other: RowStream): number {
    let passed = 0
    for (;;) {
      const { rows, end } = this.#wholeRows(Math.min(blockBytes, other.bytes.length - other.#at))
      const otherEnd = other.#at + end - this.#at
      if (rows === 0 || this.bytes.compare(other.bytes, other.#at, otherEnd, this.#at, end) !== 0) return passed
      this.#at = end
      other.#at = otherEnd
      passed += rows
    }
  }

  /** Waits for bytes and goes to the next row. Rejects with the server's error. */
  async refill(): Promise<void> {
    do {
      if (this.#failure) throw this.#failure
      if (this.#incoming.length === 0) {
        this.#wake = Promise.withResolvers<void>()
        await this.#wake.promise
      }
      this.bytes = Buffer.concat([this.bytes.subarray(this.#at), ...this.#incoming])
      this.#at = 0
      this.#incoming = []
      this.#incomingBytes = 0
      this.#tap.socket.resume()
    } while (!this.next())
  }

  /** Resolves when the session can be used again. Call after the last row. */
  async finish(): Promise<void> {
    await this.#query.done
  }

  /** Gives up; the session is in the middle of a message and of no further use. */
  destroy(reason?: Error): void {
    if (!this.#hasEnded) this.#tap.socket.destroy(reason)
    this.#tap.release()
  }

  #receive(chunk: Buffer): void {
    this.#incoming.push(chunk)
    this.#incomingBytes += chunk.length
    if (this.#incomingBytes > readAheadBytes) this.#tap.socket.pause()
    this.#wake.resolve()
  }

  /** Rows that are here as a whole within the next `bytes`. */
  #wholeRows(bytes: number): { rows: number; end: number } {
    const data = this.bytes
    const most = Math.min(this.#at + bytes, data.length)
    let at = this.#at
    let rows = 0
    while (most - at >= rowBytesLeast && data[at] === messageType.copyData) {
      const end = at + data.readInt32BE(at + 1) + 1
      if (end > most || end - at < rowBytesLeast) break
      at = end
      rows += 1
    }
    return { rows, end: at }
  }

  /** False for the trailer, whose field count is −1. */
  #parse(body: number): boolean {
    let at = this.#isFirst ? body + copyHeaderBytes : body
    this.#isFirst = false
    if (this.bytes.readInt16BE(at) < 0) return false
    at += 2
    for (let i = 0; i < this.starts.length; i++) {
      const length = this.bytes.readInt32BE(at)
      at += 4
      this.starts[i] = at
      this.lengths[i] = length
      if (length > 0) at += length
    }
    this.restStart = at
    this.restEnd = this.#at
    this.hasRow = true
    return true
  }

  /** What follows the last row is `pg`'s. After an error there is no next row: `refill` rejects. */
  #handOver(): void {
    this.#hasEnded = true
    this.hasRow = false
    this.#tap.release()
    this.#tap.pass(Buffer.concat([this.bytes.subarray(this.#at), ...this.#incoming]))
    this.#incoming = []
  }
}
