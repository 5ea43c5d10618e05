/**
 * A replica as the source sees one: it says what it understands, asks for everything or for what comes after an
 * offset, and acknowledges what the target has. What arrives goes through a spool, so that the source is read as fast
 * as it sends, however slow the target is: what a source cannot get rid of it keeps in its memory, and cuts us off.
 */
import type { Socket } from 'node:net'
import { ReplatformError } from '@replatform/core/errors'
import { parseAddress } from './address.ts'
import { type Argument, encodeCommand } from './command-buffer.ts'
import { authentication, openSocket } from './connection.ts'
import { type Place, toRedisError, withoutArguments } from './redis-error.ts'
import { RedisReplyError } from './resp-reader.ts'
import { findPrimary } from './sentinel.ts'
import { type Piece, Spool, type SpoolOptions } from './spool.ts'

/** A place in the history of a source: bytes of its replication stream, within one history. */
export interface ReplicationPoint {
  readonly replid: string
  readonly offset: number
}

export interface ReplicaLinkOptions {
  readonly url: string
  /** Null asks for everything. */
  readonly after: ReplicationPoint | null
  readonly spoolFolder?: string
  /** Of the spool, before it goes to a file. */
  readonly memoryBytes?: number
}

/** How the snapshot of a full resynchronisation ends: after so many bytes, or with this marker. */
export type SnapshotFrame = { readonly bytes: number } | { readonly marker: string }

const acknowledgeEveryMs = 1_000
/** A source sends a PING every ten seconds, and line feeds while it prepares a snapshot. */
const silentForMs = 60_000

export class ReplicaLink implements AsyncDisposable {
  /** Where the stream begins: at the offset that was asked for, or that the snapshot stands at. */
  readonly start: ReplicationPoint
  /** Null where the stream goes on without a snapshot. */
  readonly snapshot: SnapshotFrame | null
  readonly #socket: Socket
  readonly #spool: Spool
  readonly #timer: NodeJS.Timeout
  #acknowledged: number

  /** Rejects with `connection.*`, `auth.*` or `redis.replication-refused`. */
  static async open(options: ReplicaLinkOptions): Promise<ReplicaLink> {
    const address = parseAddress(await findPrimary(options.url, 'source'))
    const place: Place = { host: address.host, port: address.port, side: 'source' }
    const socket = await openSocket(address, place)
    socket.setTimeout(silentForMs, () => socket.destroy(Object.assign(new Error('silent'), { code: 'ETIMEDOUT' })))
    const lines = new LineReader(socket)
    try {
      const auth = authentication(address)
      const answer = await handshake(socket, lines, auth, options.after)
      return new ReplicaLink({ socket, lines, place, answer, spool: new Spool(spoolOf(options)) })
    } catch (thrown) {
      socket.destroy()
      throw toRedisError(thrown, place)
    }
  }

  private constructor(opened: Opened) {
    const { socket, answer, spool } = opened
    this.start = answer.start
    this.snapshot = answer.snapshot
    this.#socket = socket
    this.#spool = spool
    this.#acknowledged = answer.start.offset
    this.#timer = setInterval(() => this.#sendAcknowledgement(), acknowledgeEveryMs)
    void this.#fill(opened)
  }

  /** Bytes that came and were not read yet. */
  get waitingBytes(): number {
    return this.#spool.bytes
  }

  /** When the oldest of them came, or null. */
  get oldestMs(): number | null {
    return this.#spool.oldestMs
  }

  /** The next bytes of snapshot and stream. Throws what broke the link, after the last of them. */
  async read(): Promise<Piece> {
    const piece = await this.#spool.read()
    if (piece) return piece
    throw new ReplatformError('connection.lost', { message: 'The replication link to the source was closed.' })
  }

  /** Tells the source how far the target is. The source starts the stream after a snapshot upon the first. */
  acknowledge(offset: number, now = false): void {
    this.#acknowledged = offset
    if (now) this.#sendAcknowledgement()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#socket.destroy()
    await this.#spool[Symbol.asyncDispose]()
  }

  #sendAcknowledgement(): void {
    if (this.#socket.writable) this.#socket.write(encodeCommand(['REPLCONF', 'ACK', this.#acknowledged]))
  }

  async #fill({ lines, place }: Opened): Promise<void> {
    try {
      for (let chunk = await lines.chunk(); chunk; chunk = await lines.chunk()) {
        await this.#spool.write(chunk, Date.now())
      }
      this.#spool.end(toRedisError(Object.assign(new Error('closed'), { code: 'ECONNRESET' }), place))
    } catch (thrown) {
      this.#spool.end(toRedisError(thrown, place))
    } finally {
      clearInterval(this.#timer)
    }
  }
}

interface Answer {
  readonly start: ReplicationPoint
  readonly snapshot: SnapshotFrame | null
}

interface Opened {
  readonly socket: Socket
  readonly lines: LineReader
  readonly place: Place
  readonly answer: Answer
  readonly spool: Spool
}

function spoolOf({ spoolFolder, memoryBytes }: ReplicaLinkOptions): SpoolOptions {
  return {
    ...(spoolFolder === undefined ? {} : { folder: spoolFolder }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  }
}

async function handshake(
  socket: Socket,
  lines: LineReader,
  auth: Argument[] | null,
  after: ReplicationPoint | null,
): Promise<Answer> {
  const ask = async (...args: Argument[]) => {
    socket.write(encodeCommand(args))
    const line = await lines.line()
    if (line.startsWith('-')) throw new RedisReplyError(line.slice(1))
    return line
  }
  if (auth) await ask(...auth)
  await ask('PING')
  // Servers that know less say so; they are understood all the same.
  for (const option of [
    ['listening-port', 0],
    ['capa', 'eof', 'capa', 'psync2'],
  ] as const) {
    await ask('REPLCONF', ...option).catch((thrown) => {
      if (!(thrown instanceof RedisReplyError) || thrown.code === 'NOPERM') throw refusal(thrown)
    })
  }
  // Nothing may be pipelined with PSYNC: the source would drop it.
  const answer = await ask('PSYNC', after?.replid ?? '?', after ? after.offset + 1 : -1).catch((thrown) => {
    throw refusal(thrown)
  })
  return readAnswer(answer, lines, after)
}

function refusal(thrown: unknown): unknown {
  if (!(thrown instanceof RedisReplyError) || ['LOADING', 'MASTERDOWN', 'BUSY'].includes(thrown.code)) return thrown
  if (thrown.code === 'NOMASTERLINK') return new RedisReplyError(`LOADING ${thrown.message}`)
  return new ReplatformError('redis.replication-refused', {
    message: `The source refuses replication: ${withoutArguments(thrown.message)}.`,
  })
}

async function readAnswer(line: string, lines: LineReader, after: ReplicationPoint | null): Promise<Answer> {
  const [word, replid, offset] = line.split(' ')
  if (word === '+CONTINUE' && after)
    return { start: { replid: replid ?? after.replid, offset: after.offset }, snapshot: null }
  if (word !== '+FULLRESYNC' || !replid || !/^\d+$/.test(offset ?? '')) {
    throw new ReplatformError('redis.protocol', { message: 'The source answered PSYNC with something unknown.' })
  }
  const start = { replid, offset: Number(offset) }
  if (after) return { start, snapshot: { bytes: 0 } }
  return { start, snapshot: parseFrame(await lines.line()) }
}

function parseFrame(line: string): SnapshotFrame {
  const marker = /^\$EOF:([0-9a-f]{40})$/.exec(line)?.[1]
  if (marker) return { marker }
  const bytes = /^\$(\d{1,15})$/.exec(line)?.[1]
  if (bytes) return { bytes: Number(bytes) }
  throw new ReplatformError('redis.protocol', { message: 'The source announced its snapshot in an unknown way.' })
}

/** Lines first, bytes afterwards; reads the socket only when asked, so that nothing piles up. */
class LineReader {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** The next line that is not empty: empty ones are how a source says that it is still there. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(0x0a)
      if (end >= 0) {
        const line = this.#rest.toString('latin1', 0, end).trimEnd()
        this.#rest = this.#rest.subarray(end + 1)
        if (line !== '') return line
        continue
      }
      if (this.#rest.length > 4096) {
        throw new ReplatformError('redis.protocol', { message: 'The source sent a line without an end.' })
      }
      const { value, done } = await this.#chunks.next()
      if (done) throw Object.assign(new Error('closed'), { code: 'ECONNRESET' })
      this.#rest = Buffer.concat([this.#rest, value])
    }
  }

  async chunk(): Promise<Buffer | null> {
    if (this.#rest.length > 0) {
      const rest = this.#rest
      this.#rest = Buffer.alloc(0)
      return rest
    }
    const { value, done } = await this.#chunks.next()
    return done ? null : value
  }
}
