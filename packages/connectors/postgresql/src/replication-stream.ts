/**
 * A logical replication stream below `pg`: hands every message to a synchronous sink as a range of a buffer, answers
 * the server on a timer of its own, whatever the back-pressure, and acknowledges only what it is told is durable.
 * (PostgreSQL documentation, "Streaming Replication Protocol" and "Logical Streaming Replication Parameters".)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { type FrameHandler, FrameWalker } from './frame-walker.ts'
import { formatLsn, type Lsn } from './lsn.ts'
import { toPostgresqlError } from './postgresql-error.ts'
import { closeSession, describe, farewellMs, openSession, type Session } from './session.ts'
import { SocketTap } from './socket-tap.ts'
import { ident, literal } from './sql.ts'
import { messageType, RawQuery, submit } from './wire.ts'

/** Takes the stream: of `frame` and `large` only what holds a message of pgoutput. */
export interface StreamSink extends FrameHandler {
  /** The server has sent everything that was committed before `walEnd`. */
  keepalive(walEnd: Lsn): void
}

export interface StreamOptions {
  readonly endpoint: Endpoint
  readonly move: string
  /** Slot and publication. */
  readonly name: string
  /** Commits that end at or before it are not sent again. */
  readonly from: Lsn
  readonly sink: StreamSink
}

/** What a follower reads, wherever it comes from. */
export interface ChangeStream extends AsyncDisposable {
  /** Rejects when the stream breaks; resolves never. */
  readonly broken: Promise<never>
  /** Everything before it is durable on the target. */
  acknowledged: Lsn
  /** Of the server's process that sends. */
  readonly pid: number
  /** For how long nothing came, although something was asked for; 0 while nothing is read. */
  readonly silentMs: number
  /** Back-pressure: the sink is given nothing until `resume`. */
  pause(): void
  resume(): void
  /** With `wantAnswer` the server sends a keepalive at once. */
  sendStatus(wantAnswer: boolean): void
}

const xlogData = 0x77 // w
const keepalive = 0x6b // k
const statusMs = 1_000
/** What is read into, piece behind piece, and never again: it stays as long as somebody keeps a piece of it. */
const slabBytes = 512 * 1024
/** What must be free of it for the next read. */
const roomLeast = 64 * 1024
/** PostgreSQL counts microseconds from 2000-01-01. */
export const epochOffsetMs = Date.UTC(2000, 0, 1)

export class ReplicationStream implements ChangeStream {
  readonly broken: Promise<never>
  /** Told to the server with the next status, which may forget what lies before it. */
  acknowledged: Lsn
  readonly #options: StreamOptions
  readonly #session: Session
  readonly #tap: SocketTap
  readonly #broken = Promise.withResolvers<never>()
  readonly #timer: NodeJS.Timeout
  readonly #walker: FrameWalker
  #receivedAt = performance.now()
  #slab = Buffer.allocUnsafeSlow(slabBytes)
  #filled = 0

  static async open(options: StreamOptions): Promise<ReplicationStream> {
    const { endpoint, move } = options
    const session = await openSession({ endpoint, side: 'source', move, role: 'follow', replication: true })
    return new ReplicationStream(options, session)
  }

  private constructor(options: StreamOptions, session: Session) {
    this.#options = options
    this.#session = session
    this.acknowledged = options.from
    this.broken = this.#broken.promise
    this.broken.catch(() => {})
    const { sink } = options
    this.#walker = new FrameWalker({
      frame: (data, at, end) => this.#frame(data, at, end),
      large: (bytes) => sink.large(bytes),
    })
    this.#tap = new SocketTap(session, {
      space: () => this.#space(),
      take: (arrived, isForeign) => this.#take(arrived, isForeign),
    })
    this.#tap.socket.once('close', () => this.#fail(new Error('Connection terminated unexpectedly')))
    const { name, from } = options
    const start = new RawQuery(
      `START_REPLICATION SLOT ${ident(name)} LOGICAL ${formatLsn(from)} (proto_version '1', publication_names ${literal(ident(name))})`,
    )
    submit(session, start)
    start.done.then(
      () => this.#fail(new Error('Connection ended')),
      (error: Error) => this.#fail(error),
    )
    this.#timer = setInterval(() => this.sendStatus(false), statusMs)
  }

  get pid(): number {
    return (this.#session as unknown as { processID: number }).processID
  }

  get silentMs(): number {
    return this.#tap.socket.isPaused() ? 0 : performance.now() - this.#receivedAt
  }

  /** The server's messages wait in its socket. */
  pause(): void {
    this.#tap.socket.pause()
  }

  resume(): void {
    if (!this.#tap.socket.isPaused()) return
    this.#receivedAt = performance.now()
    this.#tap.socket.resume()
  }

  sendStatus(wantAnswer: boolean): void {
    if (this.#tap.socket.destroyed || !this.#tap.socket.writable) return
    const message = Buffer.alloc(39)
    message[0] = messageType.copyData
    message.writeInt32BE(38, 1)
    message[5] = 0x72 // r
    message.writeBigUInt64BE(this.acknowledged, 6)
    message.writeBigUInt64BE(this.acknowledged, 14)
    message.writeBigUInt64BE(this.acknowledged, 22)
    message.writeBigInt64BE(BigInt(Date.now() - epochOffsetMs) * 1_000n, 30)
    message[38] = wantAnswer ? 1 : 0
    this.#tap.socket.write(message)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.sendStatus(false)
    // A socket that is gone already, or whose other end takes nothing any more, never says that it has finished.
    const { socket } = this.#tap
    if (!socket.destroyed) await Promise.race([new Promise<void>((resolve) => socket.end(resolve)), sleep(farewellMs)])
    socket.destroy()
    await closeSession(this.#session)
  }

  #fail(error: Error): void {
    this.#broken.reject(streamError(error, this.#options))
  }

  #space(): Buffer {
    if (slabBytes - this.#filled < roomLeast) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes)
      this.#filled = 0
    }
    return this.#slab.subarray(this.#filled)
  }

  #take(arrived: Buffer, isForeign: boolean): void {
    this.#receivedAt = performance.now()
    if (!isForeign) this.#filled += arrived.length
    try {
      this.#walker.take(isForeign ? Buffer.from(arrived) : arrived)
    } catch (thrown) {
      this.#broken.reject(thrown)
      this.#tap.socket.destroy()
    }
  }

  #frame(chunk: Buffer, at: number, end: number): void {
    if (chunk[at] !== messageType.copyData) {
      if (chunk[at] !== messageType.copyBothResponse) this.#tap.pass(chunk.subarray(at, end))
      return
    }
    const kind = chunk[at + 5]
    if (kind === xlogData) {
      this.#options.sink.frame(chunk, at, end)
    } else if (kind === keepalive) {
      this.#options.sink.keepalive(chunk.readBigUInt64BE(at + 6))
      if (chunk[at + 22] === 1) this.sendStatus(false)
    }
  }
}

/** A slot that is gone or was invalidated is no passing fault: what it kept may be lost. */
function streamError(error: Error, { endpoint, name }: StreamOptions): ReplatformError {
  const code = (error as { code?: string }).code
  const isMissing = code === '42704' && /replication slot/.test(error.message)
  const isInvalid = code === '55000' || /requested WAL segment|invalidat|can no longer get changes/.test(error.message)
  if (isMissing || isInvalid) {
    return new ReplatformError('postgresql.slot-missing', {
      message: `The replication slot ${name} ${isMissing ? 'does not exist any more' : 'cannot be read any more'}.`,
      cause: new Error(code ?? 'unknown'),
    })
  }
  return toPostgresqlError(error, describe(endpoint.url, 'source'))
}
