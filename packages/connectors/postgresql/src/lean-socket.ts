/**
 * A socket that reads into memory that is used again. Node allots 64 kB for every read, however little comes, and giving
 * them back was a third of a mover's processor time. (Node's documentation, `new net.Socket`, option `onread`. Where a
 * connection uses TLS, what is deciphered comes the ordinary way: this socket is below it then, and not asked.)
 */
import { Socket } from 'node:net'

/** Takes a connection's bytes for a while. */
export interface Borrower {
  /** Where the next read goes: not empty, and left alone until then. Asked anew after every read. */
  space(): Buffer
  /** What came: in the space that was given or, `isForeign`, in memory that is lent only for the call. */
  take(arrived: Buffer, isForeign: boolean): void
}

/** Reading is synchronous, so one place serves all sockets; who listens to 'data' gets a copy of what came. */
const shared = Buffer.allocUnsafeSlow(64 * 1024)

export class LeanSocket extends Socket {
  #borrower: Borrower | null = null
  /** The present borrower's; the first read after a change of hands still goes where the one before said. */
  #given: Buffer | null = null

  constructor() {
    super({ onread: { buffer: () => this.#space(), callback: (count, space) => this.#take(count, space) } })
  }

  /** Until it is called again; null gives it back to those who listen to 'data'. */
  lendTo(borrower: Borrower | null): void {
    this.#borrower = borrower
    this.#given = null
  }

  #space(): Buffer {
    this.#given = this.#borrower?.space() ?? null
    return this.#given ?? shared
  }

  /** Returns that it is to be read on; whoever has enough pauses the socket. */
  #take(count: number, space: Uint8Array): boolean {
    const arrived = Buffer.from(space.buffer, space.byteOffset, count)
    if (this.#borrower) this.#borrower.take(arrived, space !== this.#given)
    else this.emit('data', Buffer.from(arrived))
    return true
  }
}
