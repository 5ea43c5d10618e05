/**
 * The seam's sink for ActiveMQ: every message goes in a transaction with its neighbours, which is the fastest that the
 * broker stores durably, and, where the plan says exactly once, with a marker that names them all. Each of several
 * connections has one transaction open: some are filled while others are committed, in order where the plan says so.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Delivery, MessageSink, SinkEvents } from '@replatform/connector-rabbitmq/message-sink'
import type { SourceMessage } from '@replatform/connector-rabbitmq/source-message'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Connection } from 'rhea'
import type { QueueTap } from './activemq-tap.ts'
import { encodeEntry } from './held-log.ts'
import { type MarkerLimits, MarkerLog } from './marker-log.ts'
import { encodeForActivemq, type QueueRules } from './message-mapping.ts'
import { digestOf, encodeMarker } from './message-marker.ts'
import { TransactionLane } from './transaction-lane.ts'
import type { Outcome, TransactionId } from './transactional-session.ts'

export interface SinkOptions {
  /** One or more, in none of which anybody else sends transactions of this queue. */
  readonly connections: readonly [Connection, ...Connection[]]
  /** Queue of the target. */
  readonly queue: string
  readonly rules: QueueRules
  /** Commits wait for each other; otherwise they go side by side, which stores twice as much. */
  readonly keepsOrder: boolean
  /** Queue of the markers; undefined for at-least-once. */
  readonly markerQueue: string | undefined
  readonly markerLimits?: MarkerLimits
  /** Undefined where nothing is copied. */
  readonly tap?: QueueTap | undefined
  readonly events: SinkEvents
  /** Rejects when one of the connections is gone. */
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
  readonly #lanes: readonly TransactionLane[]
  readonly #idle: TransactionLane[]
  readonly #markers: MarkerLog | undefined
  /** Full or old enough, in order. */
  readonly #closed: Batch[] = []
  #filling: Batch | undefined
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<void> = Promise.resolve()
  #hasEnded = false

  private constructor(options: SinkOptions, lanes: readonly TransactionLane[], markers: MarkerLog | undefined) {
    this.#options = options
    this.#lanes = lanes
    this.#idle = [...lanes]
    this.#markers = markers
    this.delivery = markers ? 'exactly-once' : 'at-least-once'
  }

  /** Rejects as `lost` does when that comes first: what was asked of a lost connection is never answered. */
  static open(options: SinkOptions): Promise<TransactionSink> {
    return Promise.race([TransactionSink.#open(options), options.lost])
  }

  static async #open(options: SinkOptions): Promise<TransactionSink> {
    const { connections, queue, markerQueue } = options
    const addresses = { queue, tap: options.tap?.address, markerQueue }
    const lanes = await Promise.all(connections.map((connection) => TransactionLane.open(connection, addresses)))
    const markers =
      markerQueue === undefined ? undefined : await MarkerLog.open(connections[0], markerQueue, options.markerLimits)
    const sink = new TransactionSink(options, lanes, markers)
    for (const lane of lanes) lane.onLinkEnd((link) => sink.#fail(linkError(queue, link.error)))
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
    const undone = Promise.all(this.#lanes.map((lane) => lane.undo()))
    await Promise.race([undone, this.#options.lost.catch(() => undefined), delay(5_000)])
    for (const lane of this.#lanes) lane.close()
  }

  #newBatch(): Batch {
    this.#timer = setTimeout(() => this.#due(), ageMostMs)
    return { carried: [], bytes: 0, isDue: false }
  }

  /** A small batch goes on growing while every connection is busy. */
  #due(): void {
    if (!this.#filling) return
    this.#filling.isDue = true
    if (this.#idle.length > 0) this.#close()
  }

  #close(): void {
    clearTimeout(this.#timer)
    if (!this.#filling || this.#hasEnded) return
    this.#closed.push(this.#filling)
    this.#filling = undefined
    this.#store()
  }

  /** The sends of one overlap with the commits of those before. */
  #store(): void {
    while (this.#idle.length > 0) {
      const batch = this.#closed.shift()
      const lane = batch && this.#idle.shift()
      if (!lane) return
      const stored = this.#storeOne(batch, { lane, turn: this.#turn })
      this.#turn = stored.then(
        () => undefined,
        (thrown) => this.#fail(toReplatformError(thrown)),
      )
      void this.#turn.then(() => {
        this.#idle.push(lane)
        this.#store()
        if (this.#filling?.isDue) this.#close()
      })
    }
  }

  async #storeOne(batch: Batch, place: Place): Promise<void> {
    this.#options.requireEpoch()
    const { carried } = batch
    const { lane, turn } = place
    const id = await lane.begin()
    const settled = this.#transferAll(carried, { lane, id })
    const digests = carried.flatMap(({ digest }) => digest ?? [])
    const marker = digests.length > 0 ? lane.sendMarker(id, encodeEntry(encodeMarker(digests))) : undefined
    const outcomes = await settled
    const markerOutcome = await marker
    if (this.#options.keepsOrder) await turn
    if (this.#hasEnded) return
    if (markerOutcome?.kind === 'refused') throw refusalOf(this.#options.markerQueue ?? '', markerOutcome)
    if (outcomes.some(({ kind }) => kind === 'refused')) {
      await lane.rollBack(id)
      return await this.#storeRest(batch, outcomes, lane)
    }
    this.#options.requireEpoch()
    if (marker) this.#markers?.willCommit(digests, carried.at(-1)?.message.deliveryTag ?? 0)
    for (const { message, isTapped } of carried) if (isTapped) this.#options.tap?.willCommit(message)
    await lane.commit(id)
    for (const { message } of carried) this.#options.events.confirmed(message, 'stored')
  }

  /** What the broker would have taken goes again by itself, still ahead of what came later. */
  async #storeRest({ carried }: Batch, outcomes: readonly Outcome[], lane: TransactionLane): Promise<void> {
    const rest = carried.filter((_, index) => outcomes[index]?.kind === 'accepted')
    for (const [index, { message }] of carried.entries()) {
      const outcome = outcomes[index]
      if (outcome?.kind === 'refused') this.#options.events.refused(message, refusalOf(this.#options.queue, outcome))
    }
    const bytes = rest.reduce((sum, { encoded }) => sum + encoded.length, 0)
    if (rest.length > 0) await this.#storeOne({ carried: rest, bytes, isDue: true }, { lane, turn: Promise.resolve() })
  }

  /** The outcome of each, when all are known. */
  #transferAll(
    carried: readonly Carried[],
    { lane, id }: { readonly lane: TransactionLane; readonly id: TransactionId },
  ): Promise<readonly Outcome[]> {
    const { promise, resolve } = Promise.withResolvers<readonly Outcome[]>()
    const outcomes: Outcome[] = []
    let open = carried.length
    for (const [index, { encoded, isTapped }] of carried.entries()) {
      lane.send(id, encoded, isTapped, (outcome) => {
        outcomes[index] = outcome
        if (--open === 0) resolve(outcomes)
      })
    }
    return promise
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

interface Place {
  readonly lane: TransactionLane
  /** Of the batch before. */
  readonly turn: Promise<void>
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
