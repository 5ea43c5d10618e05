/**
 * The seam's sink for ActiveMQ: every message goes in a transaction with its neighbours, which is the fastest that the
 * broker stores durably, and, where the plan says exactly once, with a marker that names them all. Two transactions are
 * open at most: one is filled while the one before is committed, in order.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Delivery, MessageSink, SinkEvents } from '@replatform/connector-rabbitmq/message-sink'
import type { SourceMessage } from '@replatform/connector-rabbitmq/source-message'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Connection, Sender } from 'rhea'
import type { QueueTap } from './activemq-tap.ts'
import { encodeEntry } from './held-log.ts'
import { type MarkerLimits, MarkerLog } from './marker-log.ts'
import { encodeForActivemq, type QueueRules } from './message-mapping.ts'
import { digestOf, encodeMarker } from './message-marker.ts'
import { type Outcome, TransactionalSession, type TransactionId } from './transactional-session.ts'

export interface SinkOptions {
  readonly connection: Connection
  /** Queue of the target. */
  readonly queue: string
  readonly rules: QueueRules
  /** Queue of the markers; undefined for at-least-once. */
  readonly markerQueue: string | undefined
  readonly markerLimits?: MarkerLimits
  /** Undefined where nothing is copied. */
  readonly tap?: QueueTap | undefined
  readonly events: SinkEvents
  /** Rejects when the connection is gone. */
  readonly lost: Promise<never>
  /** Throws when the epoch was raised. */
  readonly requireEpoch: () => void
}

/** A transaction ends when it holds this much, or when its first message is this old. */
const messagesMost = 1_000
const bytesMost = 4 * 1024 * 1024
const ageMostMs = 10

/** What the broker's connector takes by default (`wireFormat.maxFrameSize`); beyond it drops the connection. */
const messageBytesMost = 100 * 1024 * 1024

interface Carried {
  readonly message: SourceMessage
  readonly encoded: Buffer
  readonly digest: string | undefined
  readonly isTapped: boolean
}

interface Batch {
  readonly carried: Carried[]
  bytes: number
  /** Old enough, or asked for. */
  isDue: boolean
}

export class TransactionSink implements MessageSink {
  readonly delivery: Delivery
  readonly #options: SinkOptions
  readonly #session: TransactionalSession
  readonly #sender: Sender
  readonly #tapSender: Sender | undefined
  readonly #markerSender: Sender | undefined
  readonly #markers: MarkerLog | undefined
  /** Full or old enough, in order. */
  readonly #closed: Batch[] = []
  #filling: Batch | undefined
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<void> = Promise.resolve()
  #storing = 0
  readonly #open = new Set<TransactionId>()
  #hasEnded = false

  private constructor(options: SinkOptions, parts: SinkParts) {
    this.#options = options
    this.#session = parts.session
    this.#sender = parts.sender
    this.#tapSender = parts.tapSender
    this.#markers = parts.markers
    this.#markerSender = parts.markerSender
    this.delivery = parts.markers ? 'exactly-once' : 'at-least-once'
  }

  static async open(options: SinkOptions): Promise<TransactionSink> {
    const { connection, queue, markerQueue } = options
    const session = await TransactionalSession.open(connection)
    const sender = await session.openSender(`queue://${queue}`)
    const markers =
      markerQueue === undefined ? undefined : await MarkerLog.open(connection, markerQueue, options.markerLimits)
    const markerSender = markerQueue === undefined ? undefined : await session.openSender(`queue://${markerQueue}`)
    const tapSender = options.tap && (await session.openSender(options.tap.address, { inLineWith: sender }))
    const sink = new TransactionSink(options, { session, sender, tapSender, markers, markerSender })
    for (const link of tapSender ? [sender, tapSender] : [sender]) {
      link.on('sender_error', () => sink.#fail(linkError(queue, link.error)))
      link.on('sender_close', () => sink.#fail(linkError(queue, link.error)))
    }
    options.lost.catch((thrown) => sink.#fail(toReplatformError(thrown)))
    return sink
  }

  send(message: SourceMessage): void {
    if (this.#hasEnded) return
    const digest = this.#markers && digestOf(message)
    if (digest !== undefined && this.#markers?.known.absorb(digest)) {
      // Behind what is under way: the bridge acknowledges in order anyway.
      this.#options.events.confirmed(message, 'was-there')
      return
    }
    if (message.body.length > messageBytesMost) {
      this.#refuseLarge(message)
      return
    }
    const encoded = encodeForActivemq(message, this.#options.rules, Date.now())
    this.#filling ??= this.#newBatch()
    this.#filling.carried.push({ message, encoded, digest, isTapped: this.#options.tap?.takes() ?? false })
    this.#filling.bytes += encoded.length
    if (isFull(this.#filling)) this.#close()
  }

  flush(): void {
    this.#due()
  }

  acknowledged({ deliveryTag }: SourceMessage): void {
    this.#markers?.acknowledged(deliveryTag)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end()
    this.#markers?.close()
    this.#options.tap?.close()
    // What is open would stay so as long as the connection.
    const undone = [...this.#open].map((id) => this.#session.rollBack(id).catch(() => undefined))
    await Promise.race([Promise.all(undone), this.#options.lost.catch(() => undefined), delay(5_000)])
    this.#session.session.close()
  }

  #newBatch(): Batch {
    this.#timer = setTimeout(() => this.#due(), ageMostMs)
    return { carried: [], bytes: 0, isDue: false }
  }

  /** A small batch goes on growing while two are under way. */
  #due(): void {
    if (!this.#filling) return
    this.#filling.isDue = true
    if (this.#storing < 2) this.#close()
  }

  #close(): void {
    clearTimeout(this.#timer)
    if (!this.#filling || this.#hasEnded) return
    this.#closed.push(this.#filling)
    this.#filling = undefined
    this.#store()
  }

  /** Two at once: the sends of one overlap with the commit of the one before, and commits keep their order. */
  #store(): void {
    while (this.#storing < 2) {
      const batch = this.#closed.shift()
      if (!batch) return
      this.#storing++
      const turn = this.#turn
      const stored = this.#storeOne(batch, turn)
      this.#turn = stored.then(
        () => undefined,
        (thrown) => this.#fail(toReplatformError(thrown)),
      )
      void this.#turn.then(() => {
        this.#storing--
        this.#store()
        if (this.#filling?.isDue) this.#close()
      })
    }
  }

  async #storeOne(batch: Batch, turn: Promise<void>): Promise<void> {
    this.#options.requireEpoch()
    const { carried } = batch
    const id = await this.#session.declare()
    this.#open.add(id)
    const settled = this.#transferAll(carried, id)
    const digests = carried.flatMap(({ digest }) => digest ?? [])
    const marker =
      this.#markerSender && digests.length > 0
        ? this.#transfer(this.#markerSender, encodeEntry(encodeMarker(digests)), id)
        : undefined
    const outcomes = await settled
    const markerOutcome = await marker
    await turn
    if (this.#hasEnded) return
    if (markerOutcome?.kind === 'refused') throw refusalOf(this.#options.markerQueue ?? '', markerOutcome)
    if (outcomes.some(({ kind }) => kind === 'refused')) {
      await this.#session.rollBack(id)
      this.#open.delete(id)
      return await this.#storeRest(batch, outcomes)
    }
    this.#options.requireEpoch()
    if (marker) this.#markers?.willCommit(carried.at(-1)?.message.deliveryTag ?? 0)
    for (const { message, isTapped } of carried) if (isTapped) this.#options.tap?.willCommit(message)
    this.#open.delete(id)
    await this.#session.commit(id)
    for (const { message } of carried) this.#options.events.confirmed(message, 'stored')
  }

  /** What the broker would have taken goes again by itself, still ahead of what came later. */
  async #storeRest({ carried }: Batch, outcomes: readonly Outcome[]): Promise<void> {
    const rest = carried.filter((_, index) => outcomes[index]?.kind === 'accepted')
    for (const [index, { message }] of carried.entries()) {
      const outcome = outcomes[index]
      if (outcome?.kind === 'refused') this.#options.events.refused(message, refusalOf(this.#options.queue, outcome))
    }
    const bytes = rest.reduce((sum, { encoded }) => sum + encoded.length, 0)
    if (rest.length > 0) await this.#storeOne({ carried: rest, bytes, isDue: true }, Promise.resolve())
  }

  /** The outcome of each, when all are known. */
  #transferAll(carried: readonly Carried[], id: TransactionId): Promise<readonly Outcome[]> {
    const { promise, resolve } = Promise.withResolvers<readonly Outcome[]>()
    const outcomes: Outcome[] = []
    let open = carried.length
    for (const [index, { encoded, isTapped }] of carried.entries()) {
      const sender = (isTapped && this.#tapSender) || this.#sender
      this.#session.sendWhenPossible(sender, encoded, id, (outcome) => {
        outcomes[index] = outcome
        if (--open === 0) resolve(outcomes)
      })
    }
    return promise
  }

  #transfer(sender: Sender, encoded: Buffer, id: TransactionId): Promise<Outcome> {
    return new Promise((resolve) => this.#session.sendWhenPossible(sender, encoded, id, resolve))
  }

  #refuseLarge(message: SourceMessage): void {
    const error = new ReplatformError('activemq.message-too-large', {
      message: `A message of ${message.body.length} bytes in ${message.queue} is more than ActiveMQ takes.`,
    })
    this.#options.events.refused(message, error)
  }

  #fail(error: ReplatformError): void {
    if (this.#hasEnded) return
    this.#end()
    this.#options.events.failed(error)
  }

  #end(): void {
    this.#hasEnded = true
    clearTimeout(this.#timer)
  }
}

function isFull({ carried, bytes }: Batch): boolean {
  return carried.length >= messagesMost || bytes >= bytesMost
}

interface SinkParts {
  readonly session: TransactionalSession
  readonly sender: Sender
  readonly tapSender: Sender | undefined
  readonly markers: MarkerLog | undefined
  readonly markerSender: Sender | undefined
}

function refusalOf(queue: string, outcome: Outcome): ReplatformError {
  const reason = outcome.kind === 'refused' ? `${outcome.condition} ${outcome.description}` : ''
  if (/unauthorized|not authorized/i.test(reason)) {
    return new ReplatformError('auth.missing-rights', { message: `The mover may not write to queue://${queue}.` })
  }
  return new ReplatformError('activemq.refused', {
    message: `ActiveMQ refused a message for queue://${queue}: ${reason}.`,
  })
}

function linkError(queue: string, error: unknown): ReplatformError {
  const { condition = 'no reason', description = '' } = (error ?? {}) as { condition?: string; description?: string }
  return refusalOf(queue, { kind: 'refused', condition, description })
}
