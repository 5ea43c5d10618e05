/**
 * A connection that sends many commands at once and matches replies by their order. It belongs to the connector since
 * what moves the data are blocks of commands that were encoded once, and replies that are counted, not looked at.
 */
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import { type Address, parseAddress } from './address.ts'
import { type Argument, CommandBuffer, encodeCommand } from './command-buffer.ts'
import { speaksPlain } from './plain-probe.ts'
import { type Place, toRedisError } from './redis-error.ts'
import { RedisReplyError, RespReader, type RespValue } from './resp-reader.ts'
import { findPrimary } from './sentinel.ts'

export interface ConnectionOptions {
  readonly url: string
  readonly side: Side
}

interface Waiting {
  readonly replies: RespValue[]
  left: number
  /** Byte strings in the replies are let go as they come. */
  readonly skims: boolean
  /** Of the replies, errors only are kept. */
  readonly errorsOnly: boolean
  readonly resolve: (replies: RespValue[]) => void
  readonly reject: (error: Error) => void
}

const connectWithinMs = 10_000
/** Then it is asked whether the server speaks TLS at all. */
const handshakeWithinMs = 1_000
/** As CLIENT LIST shows the mover's connections. */
export const clientName = 'replatform'

/** To the server of the address, or to the primary where it names sentinels. Rejects as `openServer` does. */
export async function openConnection({ url, side }: ConnectionOptions): Promise<Connection> {
  return openServer({ url: await findPrimary(url, side), side })
}

/** Connected and authenticated. Rejects with `connection.*`, `auth.failed` or `tls.failed`. */
export async function openServer({ url, side }: ConnectionOptions): Promise<Connection> {
  const address = parseAddress(url)
  const place = { host: address.host, port: address.port, side }
  const connection = new Connection(await openSocket(address, place), place)
  try {
    await authenticate(connection, address)
    return connection
  } catch (thrown) {
    connection.close()
    throw toRedisError(thrown, place)
  }
}

/** A bare socket, TLS verified; nothing was said on it yet. */
export async function openSocket(address: Address, place: Place): Promise<Socket> {
  const { host, port, tls } = address
  const socket = tls ? connectTls({ host, port, ...tls }) : connectPlain({ host, port })
  socket.setNoDelay()
  socket.setKeepAlive(true, 30_000)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const late = Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })
  const timer = setTimeout(() => socket.destroy(late), connectWithinMs)
  let isDone = false
  const probe = setTimeout(async () => {
    if (tls && (await speaksPlain({ host, port })) && !isDone) socket.destroy(noTls())
  }, handshakeWithinMs)
  socket.once(tls ? 'secureConnect' : 'connect', resolve)
  socket.once('error', reject)
  try {
    await promise
    return socket
  } catch (thrown) {
    throw toRedisError(thrown, place)
  } finally {
    isDone = true
    clearTimeout(timer)
    clearTimeout(probe)
    socket.off('error', reject)
  }
}

function noTls(): Error {
  return Object.assign(new Error('no TLS'), { code: 'EPROTO' })
}

/** The AUTH that an address asks for, or nothing. Servers before 6 know no users. */
export function authentication({ user, password }: Address): Argument[] | null {
  if (password === null) return null
  return user === 'default' ? ['AUTH', password] : ['AUTH', user, password]
}

async function authenticate(connection: Connection, address: Address): Promise<void> {
  const auth = authentication(address)
  if (auth) await connection.command(...auth)
  // The name is for people, and for a fence that has nothing else to tell us by; not everybody may give one.
  const [, alive] = await connection.pipeline([['CLIENT', 'SETNAME', clientName], ['PING']])
  if (alive instanceof RedisReplyError) throw toRedisError(alive, connection.place)
}

export class Connection implements AsyncDisposable {
  readonly place: Place
  readonly #socket: Socket
  readonly #reader = new RespReader()
  /** Those before `#first` are answered and no longer there, since answers are large. */
  readonly #waiting: (Waiting | undefined)[] = []
  #first = 0
  #broken: ReplatformError | null = null

  constructor(socket: Socket, place: Place) {
    this.place = place
    this.#socket = socket
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', (error) => this.#break(toRedisError(error, place)))
    socket.on('close', () => this.#break(lost(place)))
  }

  /** One command; an error that it answers is thrown. */
  async command(...args: readonly Argument[]): Promise<RespValue> {
    const [reply = null] = await this.exchange(encodeCommand(args), 1)
    if (reply instanceof RedisReplyError) throw toRedisError(reply, this.place)
    return reply
  }

  /** Several at once; errors stand among the replies. */
  pipeline(commands: readonly (readonly Argument[])[]): Promise<RespValue[]> {
    if (commands.length === 0) return Promise.resolve([])
    const buffer = new CommandBuffer(commands.length * 64)
    for (const command of commands) buffer.add(command)
    return this.exchange(buffer.view, commands.length)
  }

  /**
   * Sends bytes that hold `count` commands, at least one. They must stay as they are until the replies are there.
   * `skims`: byte strings in the replies may be of any length and are left empty.
   */
  exchange(bytes: Buffer | readonly Buffer[], count: number, { skims = false } = {}): Promise<RespValue[]> {
    if (this.#broken) return Promise.reject(this.#broken)
    const { promise, resolve, reject } = Promise.withResolvers<RespValue[]>()
    this.#waiting.push({ replies: [], left: count, skims, errorsOnly: false, resolve, reject })
    if (Buffer.isBuffer(bytes)) {
      this.#socket.write(bytes)
    } else {
      this.#socket.cork()
      for (const piece of bytes) this.#socket.write(piece)
      this.#socket.uncork()
    }
    return promise
  }

  /**
   * Sends commands that are written while their bytes come, no faster than the server takes them; the generator returns
   * how many they were, at least one. Resolves with the errors among the replies. Nothing else may be sent meanwhile.
   * What fails to come to its end breaks the connection, since half a command stands there.
   */
  async stream(pieces: AsyncGenerator<Buffer, number>): Promise<RedisReplyError[]> {
    if (this.#broken) throw this.#broken
    const { promise, resolve, reject } = Promise.withResolvers<RespValue[]>()
    promise.catch(() => {})
    // Not known before all is sent; counted down from there all the same.
    const unknown = Number.MAX_SAFE_INTEGER
    const waiting: Waiting = { replies: [], left: unknown, skims: true, errorsOnly: true, resolve, reject }
    this.#waiting.push(waiting)
    try {
      for (;;) {
        const { value, done } = await pieces.next()
        if (this.#broken) break
        if (done) {
          waiting.left -= unknown - value
          if (waiting.left === 0) this.#done(waiting)
          break
        }
        if (!this.#socket.write(value)) await this.#drained()
      }
    } catch (thrown) {
      this.#socket.destroy()
      throw thrown
    }
    return (await promise) as RedisReplyError[]
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#socket.once('drain', resolve).once('close', resolve)
    try {
      await promise
    } finally {
      this.#socket.off('drain', resolve).off('close', resolve)
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  #take(chunk: Buffer): void {
    try {
      this.#reader.push(chunk)
      for (let reply = this.#next(); reply !== undefined; reply = this.#next()) this.#answer(reply)
    } catch (thrown) {
      this.#break(toRedisError(thrown, this.place))
      this.#socket.destroy()
    }
  }

  #next(): RespValue | undefined {
    return this.#reader.next({ skims: this.#waiting[this.#first]?.skims ?? false })
  }

  #answer(reply: RespValue): void {
    const waiting = this.#waiting[this.#first]
    if (!waiting) throw new ReplatformError('redis.protocol', { message: 'The server answered what nobody asked.' })
    if (!waiting.errorsOnly || reply instanceof RedisReplyError) waiting.replies.push(reply)
    waiting.left -= 1
    if (waiting.left === 0) this.#done(waiting)
  }

  /** It is the first of those that wait. */
  #done(waiting: Waiting): void {
    this.#waiting[this.#first] = undefined
    this.#first += 1
    if (this.#first > 1_024) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
    waiting.resolve(waiting.replies)
  }

  #break(error: ReplatformError): void {
    this.#broken ??= error
    const waiting = this.#waiting.splice(0)
    this.#first = 0
    for (const each of waiting) each?.reject(this.#broken)
  }
}

function lost({ side, host, port }: Place): ReplatformError {
  return new ReplatformError('connection.lost', { message: `The connection to the ${side} ${host}:${port} broke.` })
}
