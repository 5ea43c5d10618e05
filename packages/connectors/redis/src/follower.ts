/**
 * Follows the replication stream: what came while one batch was on its way makes the next, so that a quiet source is
 * applied at once and a busy one in large steps. A batch, its checkpoint and the epoch are one transaction on the target.
 */
import type { FollowOptions, FollowProgress } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import type { ChangedKeys } from './changed-keys.ts'
import { CommandBuffer } from './command-buffer.ts'
import { type Effect, rewriteCommand } from './command-rewriter.ts'
import type { Connection } from './connection.ts'
import { type ControlKeys, isControlKey } from './control-keys.ts'
import type { EpochWriter } from './epoch-writer.ts'
import { type Checkpoint, formatPoint, writeCheckpoint } from './flow-store.ts'
import type { ReplicaLink } from './psync.ts'
import { readOffset } from './server-info.ts'
import type { Piece } from './spool.ts'
import { type StreamUnit, StreamUnits } from './stream-units.ts'

export interface FollowerOptions {
  readonly link: ReplicaLink
  /** What was read of the stream already, behind a snapshot. */
  readonly first: Piece | null
  readonly writer: EpochWriter
  /** For questions beside the writer's batches. */
  readonly source: Connection
  readonly target: Connection
  readonly keys: ControlKeys
  readonly epoch: number
  readonly checkpoint: Checkpoint
  readonly changed: ChangedKeys
  /** The source's clock minus ours. */
  readonly clockOffsetMs: number
}

const batchBytes = 512 * 1024
const batchCommands = 5_000
/** Beyond either of them the stream is not cut up further: a small command takes far more memory than its bytes. */
const mostQueuedBytes = 8 * 1024 * 1024
const mostQueuedCommands = 20_000
const pollMs = 500

export class Follower {
  readonly #options: FollowerOptions
  readonly #units: StreamUnits
  readonly #buffer = new CommandBuffer(2 * batchBytes)
  readonly #totals = { transactions: 0, rows: 0, bytes: 0 }
  #queue: StreamUnit[] = []
  readonly #queued = { bytes: 0, commands: 0 }
  #applied: number
  #db: number
  /** Database that the batch has selected so far. */
  #batchDb = 0
  #inFlightMs: number | null = null
  /** End of the source's history when following began: before it, nothing is level. */
  #startEnd: number | null = null
  #sourceEnd: number
  #limit: number | null = null
  #isApplying = false
  #wake = Promise.withResolvers<void>()
  #room = Promise.withResolvers<void>()
  #ended = false
  /** What broke the link; what came before is applied all the same. */
  #failure: { readonly thrown: unknown } | null = null

  constructor(options: FollowerOptions) {
    this.#options = options
    const { point, db } = options.checkpoint
    this.#units = new StreamUnits(point.offset)
    this.#applied = point.offset
    this.#sourceEnd = point.offset
    this.#db = db
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
    const poll = setInterval(() => void this.#poll(report).catch(() => {}), pollMs)
    const onAbort = () => this.#signal()
    signal.addEventListener('abort', onAbort)
    try {
      await this.#poll(report)
      while (!signal.aborted) {
        const units = this.#take()
        if (units.length === 0) {
          if (this.#failure) throw this.#failure.thrown
          await this.#wake.promise
          this.#wake = Promise.withResolvers()
          continue
        }
        await throttle()
        await this.#apply(units)
        report(this.#progress())
      }
    } finally {
      this.#ended = true
      clearInterval(poll)
      signal.removeEventListener('abort', onAbort)
      this.#signal()
      this.#room.resolve()
    }
  }

  /** Stops applying; resolves when nothing is on its way. Followed by `applyUpTo` or `resume`. */
  async hold(): Promise<void> {
    this.#limit = this.#applied
    while (this.#isApplying && !this.#ended) await this.#changedState()
    this.#limit = this.#applied
  }

  /** Goes on to exactly that offset of the stream and stays there. */
  async applyUpTo(offset: number): Promise<void> {
    this.#limit = offset
    this.#signal()
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
  async #pump(): Promise<never> {
    const { link, first } = this.#options
    for (let piece = first ?? (await link.read()); ; piece = await link.read()) {
      this.#units.push(piece)
      for (let unit = this.#units.next(); unit; unit = this.#units.next()) {
        this.#queue.push(unit)
        this.#queued.bytes += unit.bytes
        this.#queued.commands += unit.commands.length
        if (this.#isQueueFull) await this.#waitForRoom()
      }
      this.#signal()
    }
  }

  get #isQueueFull(): boolean {
    return this.#queued.bytes > mostQueuedBytes || this.#queued.commands > mostQueuedCommands
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
      if (this.#limit !== null && unit.end > this.#limit) break
      if (count > 0 && (bytes + unit.bytes > batchBytes || commands + unit.commands.length > batchCommands)) break
      bytes += unit.bytes
      commands += unit.commands.length
      count += 1
    }
    this.#queued.bytes -= bytes
    this.#queued.commands -= commands
    this.#isApplying = count > 0
    if (!this.#isQueueFull) this.#room.resolve()
    return this.#queue.splice(0, count)
  }

  async #apply(units: readonly StreamUnit[]): Promise<void> {
    const last = units.at(-1) as StreamUnit
    this.#inFlightMs = (units[0] as StreamUnit).receivedAtMs
    try {
      const rows = this.#encode(units)
      await this.#commit(last.end)
      this.#applied = last.end
      this.#options.link.acknowledge(last.end)
      this.#totals.transactions += units.length
      this.#totals.rows += rows
      for (const unit of units) this.#totals.bytes += unit.bytes
    } finally {
      this.#inFlightMs = null
      this.#isApplying = false
      this.#signal()
    }
  }

  async #commit(end: number): Promise<void> {
    const { writer, keys, checkpoint, link, target } = this.#options
    const reached = { point: { replid: link.start.replid, offset: end }, db: this.#db, isLowered: false, broken: null }
    this.#select(0)
    writeCheckpoint(this.#buffer, keys, { ...checkpoint, ...reached })
    try {
      await writer.commit(this.#buffer)
    } catch (thrown) {
      if (thrown instanceof ReplatformError && thrown.code === 'redis.apply-refused') {
        await target.command('HSET', keys.checkpoint, 'broken', thrown.message).catch(() => {})
      }
      throw thrown
    }
  }

  /** How many of the commands write. */
  #encode(units: readonly StreamUnit[]): number {
    this.#buffer.clear()
    this.#batchDb = 0
    let rows = 0
    for (const { commands, receivedAtMs } of units) {
      const sourceNowMs = receivedAtMs + this.#options.clockOffsetMs
      for (const command of commands) {
        if (this.#add(rewriteCommand(command, sourceNowMs), command)) rows += 1
      }
    }
    return rows
  }

  #add(effect: Effect, command: readonly Buffer[]): boolean {
    const { changed } = this.#options
    switch (effect.kind) {
      case 'control':
        if (effect.name === 'select') this.#db = Number(command[1]?.toString('latin1'))
        return false
      case 'write': {
        if (effect.keys.length > 0 && effect.keys.every((key) => isControlKey(this.#db, key))) return false
        for (const key of effect.keys) {
          changed.add(this.#db, key)
          if (effect.otherDb !== null) changed.add(effect.otherDb, key)
        }
        break
      }
      case 'library':
        break
      default:
        changed.giveUp()
    }
    this.#select(this.#db)
    this.#buffer.add(effect.args)
    if (effect.kind === 'flush' && (effect.everything || this.#db === 0)) this.#restoreControl()
    if (effect.kind === 'swap' && effect.dbs.includes(0)) this.#restoreControl(effect.dbs.find((db) => db !== 0))
    return true
  }

  #select(db: number): void {
    if (this.#batchDb === db) return
    this.#batchDb = db
    this.#buffer.add(['SELECT', db])
  }

  /** Our own keys went with the others, or into another database; the checkpoint is written with every batch anyway. */
  #restoreControl(movedTo?: number): void {
    const { keys, epoch } = this.#options
    if (movedTo !== undefined) {
      this.#select(movedTo)
      this.#buffer.add(['DEL', keys.epoch, keys.checkpoint])
    }
    this.#select(0)
    this.#buffer.add(['SET', keys.epoch, epoch])
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
    const oldest = this.#inFlightMs ?? this.#queue[0]?.receivedAtMs ?? this.#options.link.oldestMs
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

/** The source's clock minus ours, in milliseconds. */
export async function readClockOffset(source: Connection): Promise<number> {
  const before = Date.now()
  const [seconds, micros] = (await source.command('TIME')) as Buffer[]
  const sourceMs = Number(String(seconds)) * 1000 + Number(String(micros)) / 1000
  return Math.round(sourceMs - (before + Date.now()) / 2)
}
