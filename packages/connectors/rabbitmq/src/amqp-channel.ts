import { invariant, ReplatformError } from '@replatform/core/errors'
import type { AmqpConnection } from './amqp-connection.ts'
import { AmqpClosed, toAmqpError } from './amqp-error.ts'
import { frameType, MethodWriter, method, readShortText, readTag } from './amqp-wire.ts'

import { Arrival } from './arrival.ts'
import type { Addressed, Published } from './frame-writer.ts'

/** A message as it comes in: the bytes, undecoded. */
export interface Delivery {
  readonly consumerTag: string
  readonly deliveryTag: number
  readonly redelivered: boolean
  /** Exchange and routing key as two short texts. */
  readonly routing: Buffer
  readonly properties: Buffer
  /** The first two bytes of the properties: which of them are there. */
  readonly propertyFlags: number
  readonly body: Buffer
  /** Of properties and body. */
  readonly bytes: number
  /** Content header and body as the frames that arrived, where these stand together. */
  readonly contentFrames?: Buffer | undefined
}

export interface ChannelEvents {
  delivery?(delivery: Delivery): void
  /** Confirmations of publishing, by the order of publishing from 1 on. */
  confirmed?(tag: number, multiple: boolean, isRefused: boolean): void
  /** A mandatory message that no queue took; its confirmation follows. */
  returned?(replyCode: number, replyText: string): void
  /** The broker ended the consumer: the queue is gone. */
  cancelled?(): void
  /** Nothing more comes. */
  failed?(error: ReplatformError): void
}

type Content = { readonly method: 'deliver' | 'return'; readonly args: Buffer }

export class AmqpChannel {
  readonly id: number
  readonly #connection: AmqpConnection
  readonly #forget: () => void
  readonly #waiting: { readonly expected: number; readonly result: PromiseWithResolvers<Buffer> }[] = []
  #events: ChannelEvents = {}
  #content: Content | null = null
  #header: Buffer | null = null
  /** Of the body that is to come. */
  #size = 0
  #bodies: Buffer[] = []
  #bodyBytes = 0
  #failure: ReplatformError | null = null

  constructor(options: { connection: AmqpConnection; id: number; forget: () => void }) {
    this.#connection = options.connection
    this.id = options.id
    this.#forget = options.forget
  }

  listen(events: ChannelEvents): void {
    this.#events = events
  }

  async open(): Promise<void> {
    await this.#ask(new MethodWriter(method.channelOpen).text(''), method.channelOpenOk)
  }

  /** Ready messages and consumers; exact at this moment. Throws `rabbitmq.refused` when there is no such queue. */
  async lookAt(queue: string): Promise<{ ready: number; consumers: number }> {
    const passive = new MethodWriter(method.queueDeclare).short(0).text(queue).octet(1).long(0)
    const args = await this.#ask(passive, method.queueDeclareOk)
    const { end } = readShortText(args, 0)
    return { ready: args.readUInt32BE(end), consumers: args.readUInt32BE(end + 4) }
  }

  async confirmSelect(): Promise<void> {
    await this.#ask(new MethodWriter(method.confirmSelect).octet(0), method.confirmSelectOk)
  }

  /** At most `count` messages of each consumer are under way. */
  async prefetch(count: number): Promise<void> {
    await this.#ask(new MethodWriter(method.basicQos).long(0).short(count).octet(0), method.basicQosOk)
  }

  /** `alone`: refused while anybody else consumes there, and refuses everybody else afterwards. */
  async consume(queue: string, tag: string, { alone = false }: { readonly alone?: boolean } = {}): Promise<void> {
    const bits = alone ? 4 : 0
    const consume = new MethodWriter(method.basicConsume).short(0).text(queue).text(tag).octet(bits).long(0)
    await this.#ask(consume, method.basicConsumeOk)
  }

  async cancel(tag: string): Promise<void> {
    await this.#ask(new MethodWriter(method.basicCancel).text(tag).octet(0), method.basicCancelOk)
  }

  publish(message: Published): void {
    if (!this.#failure) this.#connection.writer.publish(this.id, message)
  }

  /** False where it must be published otherwise: see `FrameWriter`. */
  publishFrames(to: Addressed, content: Buffer): boolean {
    return this.#failure !== null || this.#connection.writer.publishFrames(this.id, to, content)
  }

  ack(tag: number, multiple: boolean): void {
    this.#cast(new MethodWriter(method.basicAck).longLong(tag).octet(multiple ? 1 : 0))
  }

  /** Back to where it was in the queue, as near as the queue can. */
  requeue(tag: number, multiple: boolean): void {
    this.#cast(new MethodWriter(method.basicNack).longLong(tag).octet(multiple ? 3 : 2))
  }

  async close(): Promise<void> {
    if (this.#failure) return
    await this.#ask(
      new MethodWriter(method.channelClose).short(200).text('').short(0).short(0),
      method.channelCloseOk,
    ).catch(() => {})
    this.#failure ??= new ReplatformError('connection.lost', { message: 'The channel was closed.' })
    this.#forget()
  }

  take(type: number, payload: Buffer): void {
    if (type === frameType.method) this.#takeMethod(payload.readUInt32BE(0), payload.subarray(4))
    else if (type === frameType.header) this.#takeHeader(payload)
    else if (type === frameType.body) this.#takeBody(payload)
  }

  fail(error: ReplatformError): void {
    if (this.#failure) return
    this.#failure = error
    for (const { result } of this.#waiting.splice(0)) result.reject(error)
    this.#events.failed?.(error)
  }

  #takeMethod(id: number, args: Buffer): void {
    switch (id) {
      case method.basicDeliver:
        this.#content = { method: 'deliver', args }
        return
      case method.basicReturn:
        this.#content = { method: 'return', args }
        return
      case method.basicAck:
      case method.basicNack:
        this.#events.confirmed?.(readTag(args, 0), ((args[8] as number) & 1) === 1, id === method.basicNack)
        return
      case method.basicCancel:
        this.#events.cancelled?.()
        return
      case method.channelFlow:
        this.#cast(new MethodWriter(method.channelFlowOk).octet(args[0] as number))
        return
      case method.channelClose:
        this.#cast(new MethodWriter(method.channelCloseOk))
        this.fail(
          toAmqpError(new AmqpClosed(args.readUInt16BE(0), readShortText(args, 2).text), this.#connection.place),
        )
        this.#forget()
        return
      default:
        this.#takeAnswer(id, args)
    }
  }

  #takeAnswer(id: number, args: Buffer): void {
    const first = this.#waiting.shift()
    invariant(first?.expected === id, 'Answers of a channel come in the order of the questions.')
    first.result.resolve(args)
  }

  #takeHeader(payload: Buffer): void {
    this.#header = payload
    this.#size = readTag(payload, 4)
    if (this.#size === 0) this.#finishContent(Buffer.alloc(0))
  }

  #takeBody(payload: Buffer): void {
    if (this.#bodyBytes === 0 && payload.length === this.#size) {
      this.#finishContent(payload)
      return
    }
    this.#bodies.push(payload)
    this.#bodyBytes += payload.length
    if (this.#bodyBytes < this.#size) return
    const body = Buffer.concat(this.#bodies)
    this.#bodies = []
    this.#bodyBytes = 0
    this.#finishContent(body)
  }

  #finishContent(body: Buffer): void {
    const { method: how, args } = this.#content as Content
    const header = this.#header as Buffer
    this.#content = null
    this.#header = null
    if (how === 'deliver') this.#events.delivery?.(new Arrival(args, header, body))
    else this.#events.returned?.(args.readUInt16BE(0), readShortText(args, 2).text)
  }

  #ask(question: MethodWriter, expected: number): Promise<Buffer> {
    if (this.#failure) return Promise.reject(this.#failure)
    const result = Promise.withResolvers<Buffer>()
    this.#waiting.push({ expected, result })
    this.#connection.writer.frame(frameType.method, this.id, question.done())
    return result.promise
  }

  #cast(command: MethodWriter): void {
    if (!this.#failure) this.#connection.writer.frame(frameType.method, this.id, command.done())
  }
}
