import type { Session } from './session.ts'
import { messageType, RawQuery, SocketTap, submit } from './wire.ts'

/** Signature, flags and the length of the header's extension, which is empty. */
const copyHeaderBytes = 19
/** What may wait unread before the server is made to wait. */
const readAheadBytes = 512 * 1024

/**
 * The rows of a binary COPY TO, read one after the other in place: `bytes[starts[i], starts[i] + lengths[i])` is field
 * `i` of the current row, −1 a null. `next` is synchronous for as long as bytes are there, because a comparison
 * that awaited each of a hundred million rows would do little else.
 */
export class RowStream {
  bytes: Buffer = Buffer.alloc(0)
  readonly starts: Int32Array
  readonly lengths: Int32Array
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

  /** False for the trailer, whose field count is −1. */
  #parse(body: number): boolean {
    let at = this.#isFirst ? body + copyHeaderBytes : body
    this.#isFirst = false
    const fields = this.bytes.readInt16BE(at)
    if (fields < 0) return false
    at += 2
    for (let i = 0; i < fields; i++) {
      const length = this.bytes.readInt32BE(at)
      at += 4
      this.starts[i] = at
      this.lengths[i] = length
      if (length > 0) at += length
    }
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
    this.#tap.socket.resume()
  }
}
