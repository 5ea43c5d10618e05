/**
 * Follows the replication stream: what came while one batch was on its way makes the next, so that a quiet source is
 * applied at once and a busy one in large steps.
 */
import type { FollowOptions, FollowProgress } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import type { BatchSink } from './batch-sink.ts'
import type { Connection } from './connection.ts'
import { formatPoint } from './flow-store.ts'
import type { ReplicaLink } from './psync.ts'
import { readOffset } from './server-info.ts'
import type { Piece } from './spool.ts'
import { type StreamUnit, StreamUnits } from './stream-units.ts'

export interface FollowerOptions {
  readonly link: ReplicaLink
  /** What was read of the stream already, behind a snapshot. */
  readonly first: Piece | null
  readonly sink: BatchSink
  /** For questions beside the stream. */
  readonly source: Connection
  /** Offset that the target has reached. */
  readonly from: number
  /** Where several are followed at once, they share the memory that one may take. */
  readonly share?: number
}

/** Of a batch. */
export const batchBytes = 512 * 1024
const batchCommands = 5_000
/** Beyond either of them the stream is not cut up further: a small command takes far more memory than its bytes. */
const mostQueuedBytes = 8 * 1024 * 1024
const mostQueuedCommands = 2 * batchCommands
const pollMs = 500

interface Flight {
  /** When the first of it came. */
  readonly startedMs: number
  readonly landed: Promise<void>
}

export class Follower {
  readonly #options: FollowerOptions
  readonly #units: StreamUnits
  readonly #totals = { transactions: 0, rows: 0, bytes: 0 }
  #queue: StreamUnit[] = []
  readonly #queued = { bytes: 0, commands: 0 }
  #applied: number
  /** Batches on their way, the oldest first. */
  readonly #flights: Flight[] = []
  /** End of the source's history when following began: before it, nothing is level. */
  #startEnd: number | null = null
  #sourceEnd: number
  #limit: number | null = null
  /** Taken from the queue and not on its way yet. */
  #isTaken = false
  #wake = Promise.withResolvers<void>()
  #room = Promise.withResolvers<void>()
  #ended = false
  /** What a batch met. */
  #broken: { readonly thrown: unknown } | null = null
  /** What broke the link; what came before is applied all the same. */
  #failure: { readonly thrown: unknown } | null = null

  constructor(options: FollowerOptions) {
    this.#options = options
    const { from } = options
    this.#units = new StreamUnits(from)
    this.#applied = from
    this.#sourceEnd = from
  }

  get applied(): number {
    return this.#applied
  }

  /** Ends upon the signal, when what is being written is durable; rejects with what broke it. */
  async run({ signal, report, throttle }: FollowOptions): Promise<void> {
    // Not a promise to race against: one that lives as long as the flow would keep every race that it was in.
    this.#pump().catch((thrown: unknown) => {
      this.#failure = { thrown }
      this.#signal()
    })
    const { sink } = this.#options
    const poll = setInterval(() => void this.#poll(report).catch(() => {}), pollMs)
    const onAbort = () => this.#signal()
    signal.addEventListener('abort', onAbort)
    try {
      await this.#poll(report)
      while (!signal.aborted) {
        if (this.#broken) throw this.#broken.thrown
        const units = this.#flights.length < sink.mostAtOnce ? this.#take() : []
        if (units.length === 0) {
          if (this.#failure && this.#flights.length === 0) throw this.#failure.thrown
          await this.#wake.promise
          this.#wake = Promise.withResolvers()
          continue
        }
        await throttle()
        this.#start(units, report)
      }
      await Promise.all(this.#flights.map(({ landed }) => landed))
    } finally {
      await Promise.allSettled(this.#flights.map(({ landed }) => landed))
      this.#ended = true
      clearInterval(poll)
      signal.removeEventListener('abort', onAbort)
      this.#signal()
      this.#room.resolve()
      await Promise.all(
        [this.#units, ...this.#queue.map(({ large }) => large)].map((held) => held?.[Symbol.asyncDispose]()),
      )
    }
  }

  /** Stops applying; resolves when nothing is on its way. Followed by `applyUpTo` or `resume`. */
  async hold(): Promise<void> {
    this.#limit = this.#applied
    while ((this.#isTaken || this.#flights.length > 0) && !this.#ended) await this.#changedState()
    this.#limit = this.#applied
  }

  /** Goes on to exactly that offset of the stream, or to the end of the transaction around it, and stays there. */
  async applyUpTo(offset: number): Promise<void> {
    this.#limit = offset
    this.#signal()
    await this.reached(offset)
  }

  /** Until everything before that offset is on the target. Rejects when following ends before. */
  async reached(offset: number): Promise<void> {
    while (this.#applied < offset) {
      if (this.#ended) throw new ReplatformError('operation.interrupted', { message: 'Following ended meanwhile.' })
      await this.#changedState()
    }
  }

  resume(): void {
    this.#limit = null
    this.#signal()
  }

  /** Reads ahead of what is applied, as far as memory allows. */
  async #pump(): Promise<void> {
    const { link, first } = this.#options
    for (let piece = first ?? (await link.read()); !this.#ended; piece = await link.read()) {
      this.#units.push(piece)
      for (let unit = this.#units.next(); unit; unit = this.#units.next()) {
        this.#queue.push(unit)
        this.#queued.bytes += unit.bytes
        this.#queued.commands += unit.commands.length
        if (this.#isQueueFull) await this.#waitForRoom()
      }
      this.#signal()
      await this.#units.flush()
    }
  }

  get #isQueueFull(): boolean {
    const { share = 1 } = this.#options
    return this.#queued.bytes > mostQueuedBytes * share || this.#queued.commands > mostQueuedCommands * share
  }

  async #waitForRoom(): Promise<void> {
    this.#signal()
    while (this.#isQueueFull && !this.#ended) {
      this.#room = Promise.withResolvers()
      await this.#room.promise
    }
  }

  #take(): StreamUnit[] {
    let [bytes, commands, count] = [0, 0, 0]
    for (const unit of this.#queue) {
      // Before 7.0 a look at the source is a transaction in its stream, and the offset that it tells lies inside it.
      if (this.#limit !== null && unit.end - unit.bytes >= this.#limit) break
      if (count > 0 && (bytes + unit.bytes > batchBytes || commands + unit.commands.length > batchCommands)) break
      bytes += unit.bytes
      commands += unit.commands.length
      count += 1
    }
    this.#queued.bytes -= bytes
    this.#queued.commands -= commands
    this.#isTaken = count > 0
    if (!this.#isQueueFull) this.#room.resolve()
    return this.#queue.splice(0, count)
  }

  #start(units: readonly StreamUnit[], report: FollowOptions['report']): void {
    const flight: Flight = { startedMs: (units[0] as StreamUnit).receivedAtMs, landed: this.#apply(units) }
    this.#flights.push(flight)
    this.#isTaken = false
    const land = (): void => {
      this.#flights.splice(this.#flights.indexOf(flight), 1)
      if (!this.#broken) report(this.#progress())
      this.#signal()
    }
    flight.landed.then(land, (thrown: unknown) => {
      this.#broken ??= { thrown }
      land()
    })
  }

  /** Flights land in the order in which they were started. */
  async #apply(units: readonly StreamUnit[]): Promise<void> {
    const last = units.at(-1) as StreamUnit
    const rows = await this.#options.sink.apply(units)
    this.#applied = last.end
    this.#options.link.acknowledge(last.end)
    this.#totals.transactions += units.length
    this.#totals.rows += rows
    for (const unit of units) this.#totals.bytes += unit.bytes
  }

  async #poll(report: FollowOptions['report']): Promise<void> {
    this.#sourceEnd = await readOffset(this.#options.source)
    this.#startEnd ??= this.#sourceEnd
    report(this.#progress())
  }

  #progress(): FollowProgress {
    const { link } = this.#options
    return {
      position: formatPoint({ replid: link.start.replid, offset: this.#applied }),
      lagMs: this.#lagMs(),
      lagBytes: Math.max(this.#sourceEnd - this.#applied, 0),
      ...this.#totals,
    }
  }

  /** A stream carries no times: a change is as old as it is here, and all of them are old until we were level once. */
  #lagMs(): number {
    const oldest = this.#flights[0]?.startedMs ?? this.#queue[0]?.receivedAtMs ?? this.#options.link.oldestMs
    const lagMs = oldest === null ? 0 : Math.max(Date.now() - oldest, 0)
    const isBehind = this.#startEnd === null || this.#applied < this.#startEnd
    return isBehind ? Math.max(lagMs, 1_000) : lagMs
  }

  #signal(): void {
    this.#wake.resolve()
  }

  async #changedState(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
