import type { Socket } from 'node:net'
import { type Borrower, LeanSocket } from './lean-socket.ts'
import type { Session } from './session.ts'
import { connectionOf } from './wire.ts'

type DataListener = (chunk: Buffer) => void

/**
 * Takes the incoming bytes of a session away from `pg`, so that a stream of a million messages does not become a
 * million objects. What does not belong to the tap is given back through `pass`.
 */
export class SocketTap {
  readonly socket: Socket
  readonly #listeners: DataListener[]
  readonly #lender: LeanSocket | null
  #own: DataListener | null = null

  /** Chunks that a function takes are its own to keep; a borrower says where they lie. */
  constructor(session: Session, taker: DataListener | Borrower) {
    this.socket = connectionOf(session).stream
    this.#listeners = this.socket.listeners('data') as DataListener[]
    const isBorrower = typeof taker !== 'function'
    this.#lender = isBorrower && this.socket instanceof LeanSocket ? this.socket : null
    this.#own = isBorrower ? (chunk) => taker.take(chunk, true) : taker
    if (this.#lender && isBorrower) {
      this.#lender.lendTo(taker)
      return
    }
    for (const listener of this.#listeners) this.socket.off('data', listener)
    this.socket.on('data', this.#own)
  }

  /** Hands complete messages to `pg`. */
  pass(messages: Buffer): void {
    const own = Buffer.from(messages)
    for (const listener of this.#listeners) listener(own)
  }

  /** Gives the socket back to `pg`, and lets it read. Idempotent. */
  release(): void {
    if (!this.#own) return
    if (this.#lender) this.#lender.lendTo(null)
    else {
      this.socket.off('data', this.#own)
      for (const listener of this.#listeners) this.socket.on('data', listener)
    }
    this.#own = null
    this.socket.resume()
  }
}
