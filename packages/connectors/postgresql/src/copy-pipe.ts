/**
 * COPY TO on one server into COPY FROM on another. The bytes cross as they come from the socket: a CopyData message has
 * the same form in both directions, so only the headers are walked, to see where the copy ends.
 */
import type { Session } from './session.ts'
import { SocketTap } from './socket-tap.ts'
import { connectionOf, messageType, RawQuery, submit } from './wire.ts'

export interface CopyPipeOptions {
  readonly source: Session
  /** `COPY … TO STDOUT`. */
  readonly read: string
  readonly target: Session
  /** `COPY … FROM STDIN` with the same format. */
  readonly write: string
  readonly signal: AbortSignal
}

/**
 * Resolves when the target has taken everything; nothing is committed here. After a rejection both sessions are in the
 * middle of a message and must be destroyed.
 */
export async function pipeCopy(options: CopyPipeOptions): Promise<{ rows: number; bytes: number }> {
  const { source, target, signal } = options
  signal.throwIfAborted()
  const write = new RawQuery(options.write)
  submit(target, write)
  await write.copyIn
  signal.throwIfAborted()

  const pipe = new CopyPipe(source, target)
  const read = new RawQuery(options.read)
  const abort = () => pipe.destroy(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    submit(source, read)
    const targetFailed = write.done.then(() => new Promise<never>(() => {}))
    await Promise.race([pipe.finished, targetFailed, read.done.then(() => pipe.finished)])
    await read.done
    connectionOf(target).endCopyFrom()
    const { tag } = await write.done
    return { rows: Number(tag.replace('COPY ', '')), bytes: pipe.bytes }
  } finally {
    signal.removeEventListener('abort', abort)
    pipe.release()
  }
}

/** What is read at once, at most. */
const spaceBytes = 128 * 1024

/** Memory that is read into, and read into again once all that was written from it has gone. */
interface Space {
  readonly bytes: Buffer
  writes: number
}

class CopyPipe {
  readonly finished: Promise<void>
  bytes = 0
  readonly #tap: SocketTap
  readonly #target: ReturnType<typeof connectionOf>['stream']
  readonly #finished = Promise.withResolvers<void>()
  /** Back-pressure keeps them few. */
  readonly #idle: Space[] = []
  #space: Space = newSpace()
  /** Bytes of the CopyData message in work that have not come yet. */
  #left = 0
  /** The first bytes of a message whose header has not come whole. */
  #carry: Buffer = Buffer.alloc(0)
  readonly #resume = () => this.#tap.socket.resume()
  readonly #closed = () => this.#finished.reject(new Error('Connection terminated unexpectedly'))

  constructor(source: Session, target: Session) {
    this.finished = this.#finished.promise
    this.finished.catch(() => {})
    this.#target = connectionOf(target).stream
    this.#tap = new SocketTap(source, {
      space: () => this.#space.bytes,
      take: (arrived, isForeign) => this.#take(arrived, isForeign),
    })
    this.#tap.socket.on('close', this.#closed)
    this.#target.on('close', this.#closed)
  }

  release(): void {
    this.#tap.release()
    this.#tap.socket.off('close', this.#closed)
    this.#target.off('close', this.#closed)
    this.#target.off('drain', this.#resume)
  }

  destroy(reason: unknown): void {
    this.#finished.reject(reason)
    this.#tap.socket.destroy()
    this.#target.destroy()
  }

  #take(arrived: Buffer, isForeign: boolean): void {
    if (this.#carry.length > 0) this.#walk(Buffer.concat([this.#carry, arrived]), null)
    else if (isForeign) this.#walk(Buffer.from(arrived), null)
    else this.#walk(arrived, this.#space)
    if (this.#space.writes > 0) this.#space = this.#idle.pop() ?? newSpace()
  }

  #walk(chunk: Buffer, space: Space | null): void {
    this.#carry = Buffer.alloc(0)
    let from = 0
    let at = Math.min(this.#left, chunk.length)
    this.#left -= at
    while (this.#left === 0 && at < chunk.length) {
      const size = chunk.length - at < 5 ? Number.POSITIVE_INFINITY : chunk.readInt32BE(at + 1) + 1
      if (size !== Number.POSITIVE_INFINITY && chunk[at] === messageType.copyData) {
        const here = Math.min(size, chunk.length - at)
        this.#left = size - here
        at += here
        continue
      }
      this.#forward(chunk.subarray(from, at), space)
      if (chunk.length - at < size) {
        this.#carry = Buffer.from(chunk.subarray(at))
        return
      }
      if (this.#endsWith(chunk, at, size)) return
      at += size
      from = at
    }
    this.#forward(chunk.subarray(from, at), space)
  }

  /** Gives a message that is not copy data to `pg`; true when the copy ends with it, and all that follows is `pg`'s. */
  #endsWith(chunk: Buffer, at: number, size: number): boolean {
    const type = chunk[at]
    const ends = type === messageType.copyDone || type === messageType.error
    if (ends) this.#tap.release()
    this.#tap.pass(chunk.subarray(at, ends ? chunk.length : at + size))
    if (type === messageType.copyDone) this.#finished.resolve()
    return ends
  }

  #forward(data: Buffer, space: Space | null): void {
    if (data.length === 0) return
    this.bytes += data.length
    if (space) space.writes += 1
    const isTaken = this.#target.write(data, () => {
      if (!space) return
      space.writes -= 1
      if (space.writes === 0) this.#idle.push(space)
    })
    if (isTaken) return
    this.#tap.socket.pause()
    this.#target.once('drain', this.#resume)
  }
}

function newSpace(): Space {
  return { bytes: Buffer.allocUnsafeSlow(spaceBytes), writes: 0 }
}
