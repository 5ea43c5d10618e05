/**
 * One connection of AMQP 0-9-1 and its channels. Asks and answers alternate on a channel, as the protocol wants it;
 * deliveries, confirmations and returns come as events in between.
 */
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import type { BrokerAddress } from './address.ts'
import { AmqpChannel } from './amqp-channel.ts'
import { AmqpClosed, type Place, toAmqpError } from './amqp-error.ts'
import { frameType, MethodWriter, method, readShortText } from './amqp-wire.ts'
import { type FieldTable, longText, writeTable } from './field-table.ts'
import { FrameReader } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'

export interface ConnectionOptions {
  readonly address: BrokerAddress
  readonly side: Side
  /** Shown by the management API: whose connection it is and what for. */
  readonly name: string
}

const connectWithinMs = 10_000
/** Both ends write at least every half of it; three halves of silence mean that the other is gone. */
const heartbeatSeconds = 8
const frameBytesMost = 128 * 1024
const channelsMost = 255

/** Throws what is in the way, with its own error. */
export async function openAmqp(options: ConnectionOptions): Promise<AmqpConnection> {
  const { host, port } = options.address
  const place = { host, port, side: options.side }
  try {
    const connection = new AmqpConnection(await openSocket(options.address), place)
    await connection.handshake(options)
    return connection
  } catch (thrown) {
    throw toAmqpError(thrown, place)
  }
}

export class AmqpConnection implements AsyncDisposable {
  readonly place: Place
  readonly writer: FrameWriter
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #channels = new Map<number, AmqpChannel>()
  readonly #ended = Promise.withResolvers<ReplatformError | null>()
  #answer: PromiseWithResolvers<{ id: number; args: Buffer }> | null = null
  #timer: NodeJS.Timeout | null = null
  #heardAt = performance.now()
  #nextChannel = 1
  #failure: ReplatformError | null = null
  #blockedBy: string | null = null
  #isOver = false

  constructor(socket: Socket, place: Place) {
    this.place = place
    this.#socket = socket
    this.writer = new FrameWriter(socket)
    this.#reader = new FrameReader((type, channel, payload) => this.#take(type, channel, payload))
    socket.setNoDelay()
    socket.on('data', (piece: Buffer) => this.#arrived(piece))
    socket.on('error', (error) => this.#end(toAmqpError(error, place)))
    socket.on('close', () => this.#end(toAmqpError(Object.assign(new Error('closed'), { code: 'ECONNRESET' }), place)))
  }

  /** Resolves once: with what ended it, or null when `close` did. */
  get ended(): Promise<ReplatformError | null> {
    return this.#ended.promise
  }

  /** The alarm for which the broker takes no messages at the moment, in its words. */
  get blockedBy(): string | null {
    return this.#blockedBy
  }

  async handshake({ address, name }: ConnectionOptions): Promise<void> {
    const timer = setTimeout(
      () => this.#end(new ReplatformError('connection.timeout', { message: `No AMQP from ${this.#where()}.` })),
      connectWithinMs,
    )
    try {
      const started = this.#next(method.connectionStart)
      this.#socket.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1'))
      await started
      this.#send(startOk(address, name))
      const tune = (await this.#next(method.connectionTune)).args
      this.#send(this.#tuneOk(tune))
      this.#send(new MethodWriter(method.connectionOpen).text(address.vhost).text('').octet(0).done())
      await this.#next(method.connectionOpenOk)
    } finally {
      clearTimeout(timer)
    }
  }

  async openChannel(): Promise<AmqpChannel> {
    if (this.#failure || this.#isOver) throw this.#failure ?? this.#lost()
    const id = this.#freeChannel()
    const channel = new AmqpChannel({ connection: this, id, forget: () => this.#channels.delete(id) })
    this.#channels.set(id, channel)
    await channel.open()
    return channel
  }

  /** Nothing is read until `resume`: the broker is slowed down by TCP itself. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#heardAt = performance.now()
    this.#socket.resume()
  }

  /** Ends it at once; channels fail. */
  destroy(): void {
    this.#end(this.#lost())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver && !this.#failure) {
      const answered = this.#next(method.connectionCloseOk).catch(() => {})
      this.#send(new MethodWriter(method.connectionClose).short(200).text('').short(0).short(0).done())
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, 2_000)
      await Promise.race([answered, late.promise])
      clearTimeout(timer)
    }
    this.#end(null)
  }

  #arrived(piece: Buffer): void {
    this.#heardAt = performance.now()
    try {
      this.#reader.take(piece)
    } catch (thrown) {
      this.#end(toAmqpError(thrown, this.place))
    }
  }

  #take(type: number, channel: number, payload: Buffer): void {
    if (this.#isOver) return
    if (channel !== 0) this.#channels.get(channel)?.take(type, payload)
    else if (type === frameType.method) this.#takeMethod(payload.readUInt32BE(0), payload.subarray(4))
  }

  #takeMethod(id: number, args: Buffer): void {
    if (id === method.connectionClose) {
      this.#send(new MethodWriter(method.connectionCloseOk).done())
      this.writer.flush()
      this.#end(toAmqpError(new AmqpClosed(args.readUInt16BE(0), readShortText(args, 2).text), this.place))
    } else if (id === method.connectionBlocked) {
      this.#blockedBy = readShortText(args, 0).text
    } else if (id === method.connectionUnblocked) {
      this.#blockedBy = null
    } else {
      this.#answer?.resolve({ id, args })
      this.#answer = null
    }
  }

  async #next(expected: number): Promise<{ args: Buffer }> {
    if (this.#failure) throw this.#failure
    this.#answer = Promise.withResolvers()
    const { id, args } = await this.#answer.promise
    if (id === expected) return { args }
    throw new ReplatformError('rabbitmq.unexpected-answer', { message: `${this.#where()} does not speak AMQP 0-9-1.` })
  }

  /** What both ends can bear; 0 means no limit. */
  #tuneOk(tune: Buffer): Buffer {
    const least = (theirs: number, ours: number) => (theirs === 0 ? ours : Math.min(theirs, ours))
    const frameBytes = least(tune.readUInt32BE(2), frameBytesMost)
    this.writer.payloadMost = frameBytes - 8
    this.#watch(heartbeatSeconds)
    return new MethodWriter(method.connectionTuneOk)
      .short(least(tune.readUInt16BE(0), channelsMost))
      .long(frameBytes)
      .short(heartbeatSeconds)
      .done()
  }

  #watch(seconds: number): void {
    this.#timer = setInterval(() => {
      this.writer.frame(frameType.heartbeat, 0, Buffer.alloc(0))
      const silentMs = performance.now() - this.#heardAt
      // While reading is paused by ourselves the other end cannot be heard.
      if (!this.#socket.isPaused() && silentMs > seconds * 1_500) {
        this.#end(new ReplatformError('connection.lost', { message: `${this.#where()} has gone silent.` }))
      }
    }, seconds * 500)
    this.#timer.unref()
  }

  #send(payload: Buffer): void {
    this.writer.frame(frameType.method, 0, payload)
  }

  #freeChannel(): number {
    while (this.#channels.has(this.#nextChannel)) this.#nextChannel = (this.#nextChannel % channelsMost) + 1
    return this.#nextChannel
  }

  #end(error: ReplatformError | null): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = error
    if (this.#timer) clearInterval(this.#timer)
    this.#socket.destroySoon()
    if (error) this.#socket.destroy()
    const reason = error ?? this.#lost()
    this.#answer?.reject(reason)
    for (const channel of [...this.#channels.values()]) channel.fail(reason)
    this.#channels.clear()
    this.#ended.resolve(error)
  }

  #lost(): ReplatformError {
    return new ReplatformError('connection.lost', { message: `The connection to ${this.#where()} was closed.` })
  }

  #where(): string {
    return `the ${this.place.side} ${this.place.host}:${this.place.port}`
  }
}

function openSocket({ host, port, tls }: BrokerAddress): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = tls ? connectTls({ host, port, ...tls }) : connectPlain({ host, port })
  const timer = setTimeout(
    () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
    connectWithinMs,
  )
  socket.once(tls ? 'secureConnect' : 'connect', () => {
    socket.off('error', reject)
    resolve(socket)
  })
  socket.once('error', reject)
  return promise.finally(() => clearTimeout(timer))
}

function startOk({ user, password }: BrokerAddress, name: string): Buffer {
  const yes = { type: 't', value: true } as const
  const capabilities: FieldTable = [
    ['publisher_confirms', yes],
    ['basic.nack', yes],
    ['consumer_cancel_notify', yes],
    ['connection.blocked', yes],
    ['authentication_failure_close', yes],
  ]
  const properties: FieldTable = [
    ['product', longText('Replatform')],
    ['connection_name', longText(name)],
    ['capabilities', { type: 'F', value: capabilities }],
  ]
  return new MethodWriter(method.connectionStartOk)
    .raw(writeTable(properties))
    .text('PLAIN')
    .longText(Buffer.from(`\0${user}\0${password}`, 'utf8'))
    .text('en_US')
    .done()
}
