/**
 * Carries one queue: read, sent, confirmed, written into the ledger, acknowledged, in that order.
 *
 *   read ──► send ──► confirmed ──► ledger entry durable ──► acknowledged
 *
 * A crash after `confirmed` and before `acknowledged` makes the source deliver again what the other side has: repeated,
 * never lost. Only what is confirmed without a gap is acknowledged, so order survives a crash as well as the source
 * queue restores it.
 */
import { createHash, type Hash } from 'node:crypto'
import { toReplatformError } from '@replatform/core/errors'
import type { Ledger, LedgerEntry, QueueReading, SourceBroker, SourceRun, TargetBroker } from './brokers.ts'
import { findPropertyBytes, hasExpiration } from './message-properties.ts'
import type { MessageSink } from './message-sink.ts'
import type { QueuePlan } from './queue-plan.ts'
import { Repeats } from './repeats.ts'
import type { SourceMessage } from './source-message.ts'

export interface QueueBridgeOptions {
  readonly plan: QueuePlan
  readonly from: { readonly broker: SourceBroker; readonly address: string }
  readonly to: { readonly broker: TargetBroker; readonly address: string }
  readonly ledger: Ledger
  readonly epoch: number
  /** Where the ledger stands. */
  readonly before: Pick<LedgerEntry, 'carried' | 'perhapsRepeated' | 'mayLapse' | 'run' | 'recent' | 'inDoubt'>
  /** Of the source; asked for ahead of reading. */
  readonly run: SourceRun
  /** What the queue held when it was looked at last. */
  readonly ready: number
  readonly failed: (error: Error) => void
}

/** Messages that are read and not acknowledged yet. */
const windowMessages = 5_000
/** Beyond it reading waits: the source's socket stands still. */
const windowBytes = 16 * 1024 * 1024
/** An entry in the ledger at least so often while messages come. */
const entryEvery = 500
const entryEveryMs = 20
const retryRefusedMs = 500
/** Larger bodies are not copied for their digest. */
const copiedBytes = 8 * 1024
/** After so long without a message, a sink that collects a transaction ends it. */
const flushAfterMs = 5

export class QueueBridge {
  readonly plan: QueuePlan
  readonly #options: QueueBridgeOptions
  #reading: QueueReading | null = null
  #sink: MessageSink | null = null
  /** What is not in the ledger yet, in the order of reading; the first has the tag `#entered + 1`. */
  #messages: SourceMessage[] = []
  readonly #confirmed = new Set<number>()
  /** Stored by an earlier mover, which the ledger may have counted. */
  readonly #wereThere = new Set<number>()
  readonly #retries = new Set<NodeJS.Timeout>()
  /** Delivery tags: read; confirmed without a gap; entered into the ledger; acknowledged. */
  #read = 0
  #low = 0
  #entered = 0
  #acknowledged = 0
  #waitingBytes = 0
  #isSlowed = false
  #carried: number
  #perhapsRepeated: number
  #mayLapse: number
  #bytes = 0
  #entry: LedgerEntry | null = null
  #oldestAt: number | null = null
  #lastArrivalAt = performance.now()
  readonly #chain = createHash('sha256')
  readonly #repeats: Repeats
  #timer: NodeJS.Timeout | null = null
  #flushTimer: NodeJS.Timeout | null = null
  #isOver = false

  static async open(options: QueueBridgeOptions): Promise<QueueBridge> {
    const bridge = new QueueBridge(options)
    await bridge.#open()
    return bridge
  }

  private constructor(options: QueueBridgeOptions) {
    this.#options = options
    this.plan = options.plan
    this.#carried = options.before.carried
    this.#perhapsRepeated = options.before.perhapsRepeated
    this.#mayLapse = options.before.mayLapse ?? 0
    const { before, run, ready } = options
    this.#repeats = new Repeats({ before, run, window: windowMessages, ready })
  }

  /** Read and not acknowledged yet. */
  get underWay(): number {
    return this.#read - this.#acknowledged
  }

  get carried(): number {
    return this.#carried
  }

  /** Its last in the ledger; null before the first. */
  get entry(): LedgerEntry | null {
    return this.#entry
  }

  /** Deliveries to come that the source may have forgotten to mark as repeats, because it has begun anew. */
  get inDoubt(): number {
    return this.#repeats.inDoubt
  }

  /** Stands still, or goes on: for a limit of bytes per second. */
  halt(isHalted: boolean): void {
    if (isHalted) this.#reading?.pause()
    else if (!this.#isSlowed) this.#reading?.resume()
  }

  /** Bodies and properties that this bridge has carried. */
  get bytes(): number {
    return this.#bytes
  }

  /** How long the oldest message that is under way has been so. */
  get lagMs(): number {
    return this.underWay === 0 || this.#oldestAt === null ? 0 : performance.now() - this.#oldestAt
  }

  /** No message has come for so long. */
  get idleMs(): number {
    return performance.now() - this.#lastArrivalAt
  }

  /**
   * Reads no more, waits until all that was read is acknowledged, and closes. False when the other side would not
   * take everything within that time: what is left is in the source's queue again.
   */
  async finish({ withinMs }: { readonly withinMs: number }): Promise<boolean> {
    const deadline = performance.now() + withinMs
    await this.#reading?.cancel()
    this.#sink?.flush()
    while (this.underWay > 0 && performance.now() < deadline && !this.#isOver) {
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const isDone = this.underWay === 0
    await this.close()
    return isDone
  }

  async close(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#timer) clearTimeout(this.#timer)
    if (this.#flushTimer) clearTimeout(this.#flushTimer)
    for (const timer of this.#retries) clearTimeout(timer)
    await this.#reading?.close().catch(() => {})
    await this.#sink?.[Symbol.asyncDispose]()
  }

  async #open(): Promise<void> {
    const { plan, from, to } = this.#options
    this.#sink = await to.broker.openSink({
      queue: plan,
      address: to.address,
      events: {
        confirmed: (message, how) => this.#onConfirmed(message, how),
        refused: (message, error) => this.#onRefused(message, error),
        failed: (error) => this.#fail(error),
      },
    })
    try {
      this.#reading = await from.broker.read({
        queue: from.address,
        window: windowMessages,
        events: { message: (message) => this.#onMessage(message), failed: (error) => this.#fail(error) },
      })
    } catch (thrown) {
      await this.#sink[Symbol.asyncDispose]()
      throw thrown
    }
  }

  #onMessage(message: SourceMessage): void {
    if (this.#isOver) return
    this.#read = message.deliveryTag
    this.#lastArrivalAt = performance.now()
    this.#oldestAt ??= this.#lastArrivalAt
    this.#messages.push(message)
    this.#waitingBytes += sizeOf(message)
    this.#sink?.send(message)
    this.#flushTimer ??= setTimeout(() => this.#flushWhenIdle(), flushAfterMs)
    if (this.#waitingBytes > windowBytes && !this.#isSlowed) {
      this.#isSlowed = true
      this.#reading?.pause()
    }
  }

  #onConfirmed(message: SourceMessage, how: 'stored' | 'was-there'): void {
    if (this.#isOver) return
    if (how === 'was-there') this.#wereThere.add(message.deliveryTag)
    if (message.deliveryTag === this.#low + 1) this.#low++
    else this.#confirmed.add(message.deliveryTag)
    if (this.#confirmed.size > 0) while (this.#confirmed.delete(this.#low + 1)) this.#low++
    if (this.#low - this.#entered >= entryEvery) this.#enter()
    else if (this.#low > this.#entered) this.#timer ??= setTimeout(() => this.#enter(), entryEveryMs)
  }

  /** The same message is tried again after a while, behind those that were sent since: it is full, or a person must look. */
  #onRefused(message: SourceMessage, error: Error): void {
    if (this.#isOver) return
    if (toReplatformError(error).code !== 'target.full') {
      this.#fail(error)
      return
    }
    const timer = setTimeout(() => {
      this.#retries.delete(timer)
      this.#sink?.send(message)
    }, retryRefusedMs)
    this.#retries.add(timer)
  }

  /** Writes everything that is confirmed without a gap into the ledger, and acknowledges it when that is durable. */
  #enter(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const upTo = this.#low
    const count = upTo - this.#entered
    if (count === 0 || this.#isOver) return
    const messages = this.#messages.splice(0, count)
    for (const message of messages) if (hasExpiration(message.properties)) this.#mayLapse++
    chainOn(this.#chain, messages)
    const known = this.#countRepeats(messages)
    this.#entered = upTo
    this.#carried += count - known
    const entry: LedgerEntry = {
      queue: this.plan.name,
      epoch: this.#options.epoch,
      carried: this.#carried,
      perhapsRepeated: this.#perhapsRepeated,
      mayLapse: this.#mayLapse,
      chain: this.#chain.copy().digest('hex'),
      ...this.#repeats.forNext(count),
    }
    this.#entry = entry
    this.#options.ledger.append(entry).then(
      () => this.#acknowledge(upTo, messages),
      (error) => this.#fail(error),
    )
  }

  /** Answers how many of these the target had already. */
  #countRepeats(messages: readonly SourceMessage[]): number {
    const isExact = this.#sink?.delivery === 'exactly-once'
    let known = 0
    for (const message of messages) {
      const mayRepeat = this.#repeats.mayRepeat(message)
      if (this.#wereThere.size > 0 && this.#wereThere.delete(message.deliveryTag)) known++
      // Where it has an id, a marker would have told.
      else if (mayRepeat && !(isExact && hasId(message))) this.#perhapsRepeated++
    }
    return known
  }

  #acknowledge(tag: number, messages: readonly SourceMessage[]): void {
    if (this.#isOver) return
    this.#reading?.acknowledge(tag)
    this.#sink?.acknowledged(messages.at(-1) as SourceMessage)
    this.#acknowledged = tag
    const bytes = messages.reduce((sum, message) => sum + sizeOf(message), 0)
    this.#bytes += bytes
    this.#waitingBytes -= bytes
    if (this.#isSlowed && this.#waitingBytes < windowBytes / 2) {
      this.#isSlowed = false
      this.#reading?.resume()
    }
    this.#oldestAt = this.underWay === 0 ? null : performance.now()
  }

  #flushWhenIdle(): void {
    const isIdle = this.idleMs >= flushAfterMs
    if (isIdle) this.#sink?.flush()
    this.#flushTimer = isIdle || this.#isOver ? null : setTimeout(() => this.#flushWhenIdle(), flushAfterMs)
  }

  #fail(error: Error): void {
    if (this.#isOver) return
    this.#options.failed(error)
  }
}

function sizeOf(message: SourceMessage): number {
  return message.bytes ?? message.properties.length + message.body.length
}

/** One that is empty names nothing. */
function hasId({ properties }: SourceMessage): boolean {
  return (findPropertyBytes(properties).messageId?.length ?? 0) > 1
}

/** What messages are, in their order: the length and the bytes of properties and body of each. */
function chainOn(chain: Hash, messages: readonly SourceMessage[]): void {
  const small: Buffer[] = []
  for (const { properties, body } of messages) {
    const lengths = Buffer.allocUnsafe(8)
    lengths.writeUInt32BE(properties.length, 0)
    lengths.writeUInt32BE(body.length, 4)
    small.push(lengths, properties)
    if (body.length <= copiedBytes) small.push(body)
    else chain.update(Buffer.concat(small.splice(0))).update(body)
  }
  // One call for many messages: the call costs more than the bytes of most.
  chain.update(Buffer.concat(small))
}
