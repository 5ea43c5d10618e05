/**
 * What a server tells of its keys while they are written: keyspace notifications, by the event's channel, whose message
 * is the key. It tells each write once and never again: what was said while nobody listened is lost, and FLUSHALL,
 * FLUSHDB and SWAPDB are not told at all. So they say where to look, and never what is equal.
 */
import type { Socket } from 'node:net'
import { ReplatformError } from '@replatform/core/errors'
import { parseAddress } from './address.ts'
import { encodeCommand } from './command-buffer.ts'
import { authentication, openSocket } from './connection.ts'
import { type Place, toRedisError } from './redis-error.ts'
import { RedisReplyError, RespReader, type RespValue } from './resp-reader.ts'
import { findPrimary } from './sentinel.ts'

export interface KeyEventsOptions {
  readonly url: string
  /** Called for each event, of our own keys too. The key is a view that holds during the call. */
  readonly onKey: (db: number, key: Buffer) => void
  /** Called once, when events may have been missed. */
  readonly onLost: (error: ReplatformError) => void
}

const pingEveryMs = 5_000
const silentForMs = 20_000
const pattern = '__keyevent@*__:*'

export class KeyEvents implements AsyncDisposable {
  readonly #socket: Socket
  readonly #ping: NodeJS.Timeout
  #isClosed = false

  /** Resolves when the server has confirmed: from then on no event is missed until `onLost`. */
  static async open(options: KeyEventsOptions): Promise<KeyEvents> {
    const address = parseAddress(await findPrimary(options.url, 'source'))
    const place: Place = { host: address.host, port: address.port, side: 'source' }
    const socket = await openSocket(address, place)
    const confirmed = Promise.withResolvers<void>()
    const events = new KeyEvents(socket, place, {
      ...options,
      onConfirmed: confirmed.resolve,
      onFailed: confirmed.reject,
    })
    const auth = authentication(address)
    if (auth) socket.write(encodeCommand(auth))
    socket.write(encodeCommand(['PSUBSCRIBE', pattern]))
    try {
      await confirmed.promise
      return events
    } catch (thrown) {
      await events[Symbol.asyncDispose]()
      throw toRedisError(thrown, place)
    }
  }

  private constructor(socket: Socket, place: Place, options: Listener) {
    this.#socket = socket
    const reader = new RespReader()
    const end = (thrown: unknown): void => {
      options.onFailed(thrown)
      if (this.#isClosed) return
      this.#close()
      options.onLost(toRedisError(thrown, place))
    }
    socket.setTimeout(silentForMs, () => end(Object.assign(new Error('silent'), { code: 'ETIMEDOUT' })))
    socket.on('error', end)
    socket.on('close', () => end(Object.assign(new Error('closed'), { code: 'ECONNRESET' })))
    socket.on('data', (chunk) => {
      try {
        reader.push(chunk)
        for (let value = reader.next(); value !== undefined; value = reader.next()) take(value, options)
      } catch (thrown) {
        end(thrown)
      }
    })
    this.#ping = setInterval(() => socket.write(encodeCommand(['PING'])), pingEveryMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
  }

  #close(): void {
    this.#isClosed = true
    clearInterval(this.#ping)
    this.#socket.destroy()
  }
}

interface Listener extends KeyEventsOptions {
  readonly onConfirmed: () => void
  readonly onFailed: (thrown: unknown) => void
}

function take(value: RespValue, { onKey, onConfirmed }: Listener): void {
  if (value instanceof RedisReplyError) throw value
  if (!Array.isArray(value)) return
  const [kind, , channel, key] = value
  if (isText(kind, 'pmessage') && Buffer.isBuffer(channel) && Buffer.isBuffer(key)) onKey(databaseOf(channel), key)
  else if (isText(kind, 'psubscribe')) onConfirmed()
}

/** `__keyevent@<db>__:<event>`. */
function databaseOf(channel: Buffer): number {
  let db = 0
  for (let at = 11; at < channel.length; at++) {
    const digit = (channel[at] as number) - 0x30
    if (digit < 0 || digit > 9) return db
    db = db * 10 + digit
  }
  throw new ReplatformError('redis.protocol', { message: 'A keyspace notification names no database.' })
}

function isText(value: RespValue | undefined, text: string): boolean {
  return Buffer.isBuffer(value) && value.length === text.length && value.toString('latin1') === text
}
