/**
 * Applies batches on one server with all its databases: a batch, its checkpoint and the look at the epoch are one
 * transaction there.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { BatchSink } from './batch-sink.ts'
import type { KeyRecorder } from './changed-keys.ts'
import { CommandBuffer } from './command-buffer.ts'
import { type Effect, rewriteCommand } from './command-rewriter.ts'
import { isPlain } from './command-table.ts'
import type { Connection } from './connection.ts'
import { type ControlKeys, controlByte, isControlKey } from './control-keys.ts'
import type { EpochWriter } from './epoch-writer.ts'
import { type Checkpoint, writeCheckpoint } from './flow-store.ts'
import { batchBytes } from './follower.ts'
import { hasParts, largeEffect, partsOf } from './large-effect.ts'
import { tooLarge } from './large-scan.ts'
import { LargeStreamCommand, type LargeUnit } from './large-unit.ts'
import { StreamCommand } from './stream-command.ts'
import type { StreamUnit } from './stream-units.ts'

export interface DatabaseSinkOptions {
  readonly writer: EpochWriter
  /** For what is written beside the writer's batches. */
  readonly target: Connection
  readonly keys: ControlKeys
  readonly epoch: number
  readonly checkpoint: Checkpoint
  /** Of the history that is followed. */
  readonly replid: string
  readonly changed: KeyRecorder
  /** The source's clock minus ours. */
  readonly clockOffsetMs: number
}

/** What Valkey, and Redis since 7.2, queue for one transaction (client-query-buffer-limit); they close the connection. */
const mostQueuedBytes = 1024 * 1024 * 1024
const beyondQueue =
  'more than 1 GB, or a transaction did, and the target closed the connection: it does not queue more for a transaction'

function isCutOff(thrown: unknown): boolean {
  return thrown instanceof ReplatformError && thrown.code === 'connection.lost'
}

const mostSets = 1_000

interface Total {
  rows: number
}

export class DatabaseSink implements BatchSink {
  /** One is encoded while the other is on its way. */
  readonly mostAtOnce = 2
  readonly #options: DatabaseSinkOptions
  #buffer = new CommandBuffer(2 * batchBytes)
  #other = new CommandBuffer(2 * batchBytes)
  /** Of the batch before: the next is not sent until it is known to be carried out. */
  #last: Promise<void> = Promise.resolve()
  #db: number
  /** Offset behind the last unit that wrote. */
  #written: number
  /** Plain SETs that came one after the other and are not in the buffer yet. */
  #sets: StreamCommand[] = []
  #setBytes = 0
  /** A large unit while it is on its way. */
  #large: Promise<void> | null = null
  /** Database that the batch has selected so far. */
  #batchDb = 0

  constructor(options: DatabaseSinkOptions) {
    this.#options = options
    const { db, point, written } = options.checkpoint
    this.#db = db
    this.#written = written ?? point.offset
  }

  async apply(units: readonly StreamUnit[]): Promise<number> {
    // Which database is selected behind it shows when it has been read.
    if (this.#large) await this.#large
    const [unit] = units as [StreamUnit]
    if (unit.large) return this.#applyLarge(unit, unit.large)
    const buffer = this.#other
    this.#other = this.#buffer
    this.#buffer = buffer
    const rows = this.#encode(units)
    const sent = this.#last.then(() => this.#commit(buffer))
    this.#last = sent
    await sent
    return rows
  }

  #commit(buffer: CommandBuffer): Promise<void> {
    return this.#telling(this.#options.writer.commit(buffer))
  }

  /** Leaves on the target that it is no longer whole, where that is what broke. */
  async #telling(written: Promise<void>): Promise<void> {
    const { keys, target } = this.#options
    try {
      await written
    } catch (thrown) {
      if (thrown instanceof ReplatformError && thrown.code === 'redis.apply-refused') {
        await target.command('HSET', keys.checkpoint, 'broken', thrown.message).catch(() => {})
      }
      throw thrown
    }
  }

  /** Fills the buffer; how many of the commands write. */
  #encode(units: readonly StreamUnit[]): number {
    this.#buffer.clear()
    this.#batchDb = 0
    let rows = 0
    for (const { commands, receivedAtMs, end } of units) {
      const before = rows
      for (const command of commands) if (this.#addCommand(command, receivedAtMs)) rows += 1
      if (rows > before) this.#written = end
    }
    this.#addCheckpoint((units.at(-1) as StreamUnit).end)
    return rows
  }

  #addCommand(command: StreamCommand, receivedAtMs: number): boolean {
    const sourceNowMs = receivedAtMs + this.#options.clockOffsetMs
    return this.#addPlain(command) || this.#add(rewriteCommand(command.args, sourceNowMs), command.args)
  }

  /** A unit that is not held: its parts as batches where they may be carried out twice, else all in one transaction. */
  async #applyLarge(unit: StreamUnit, large: LargeUnit): Promise<number> {
    await using _ = large
    const total: Total = { rows: 0 }
    const applied = this.#last.then(() => this.#telling(this.#writeLarge(unit, large, total)))
    this.#last = applied
    this.#large = applied
    await applied
    this.#large = null
    return total.rows
  }

  async #writeLarge(unit: StreamUnit, large: LargeUnit, total: Total): Promise<void> {
    const { writer } = this.#options
    this.#buffer.clear()
    this.#batchDb = 0
    const commands = large.commands()
    const only = large.isTransaction ? null : (await commands.next()).value
    if (only instanceof LargeStreamCommand && hasParts(only, { isRepeated: true })) {
      await this.#writeParts(unit, only, total)
    } else {
      const encoded = this.#encodeLarge(unit, only ? [only] : commands, total)
      await writer.commitStream(encoded).catch((thrown) => {
        throw isCutOff(thrown) && unit.bytes > mostQueuedBytes ? tooLarge(beyondQueue) : thrown
      })
    }
  }

  async #writeParts({ end }: StreamUnit, command: LargeStreamCommand, total: Total): Promise<void> {
    const { writer } = this.#options
    if (!this.#isFollowed(command.outline.args[1]?.bytes ?? null)) return
    for await (const args of partsOf(command)) {
      this.#select(this.#db)
      this.#buffer.add(args)
      await writer.commit(this.#buffer)
      this.#buffer.clear()
      this.#batchDb = 0
    }
    total.rows += 1
    this.#written = end
    this.#addCheckpoint(end)
    await writer.commit(this.#buffer)
  }

  /** Returns how many commands it gave. */
  async *#encodeLarge(
    { receivedAtMs, end }: StreamUnit,
    commands: AsyncIterable<StreamCommand | LargeStreamCommand> | [LargeStreamCommand],
    total: Total,
  ): AsyncGenerator<Buffer, number> {
    let count = 0
    const take = (): Buffer => {
      count += this.#buffer.commands
      const bytes = Buffer.from(this.#buffer.view)
      this.#buffer.clear()
      return bytes
    }
    for await (const command of commands) {
      if (command instanceof StreamCommand) {
        if (this.#addCommand(command, receivedAtMs)) total.rows += 1
        if (this.#buffer.length >= batchBytes) yield take()
        continue
      }
      const effect = largeEffect(command, receivedAtMs + this.#options.clockOffsetMs)
      if (effect.kind === 'none' || !this.#isFollowed(effect.key)) continue
      total.rows += 1
      this.#select(this.#db)
      this.#buffer.begin(effect.count)
      yield take()
      yield* effect.args
    }
    if (total.rows > 0) this.#written = end
    this.#addCheckpoint(end)
    yield take()
    return count
  }

  /** Notes what a large command writes; null where that is not known. */
  #isFollowed(key: Buffer | null): boolean {
    const { changed } = this.#options
    if (key === null) changed.giveUp()
    else if (isControlKey(this.#db, key)) return false
    else changed.add(this.#db, key)
    return true
  }

  #addCheckpoint(end: number): void {
    const { keys, checkpoint, replid } = this.#options
    const point = { replid, offset: end }
    const reached = { point, written: this.#written, db: this.#db, isLowered: false, broken: null }
    this.#select(0)
    writeCheckpoint(this.#buffer, keys, { ...checkpoint, ...reached })
  }

  /** Most commands; those that it takes are not taken apart. */
  #addPlain(command: StreamCommand): boolean {
    const { changed } = this.#options
    const isSet = command.isPlainSet
    if (!isSet && !isPlain(command.name, command.count)) return false
    // Only in database 0 may a key be our own.
    if (changed.isListening || (this.#db === 0 && command.firstByte === controlByte)) {
      const key = command.first
      if (isControlKey(this.#db, key)) return false
      changed.add(this.#db, key)
    }
    if (isSet) {
      this.#sets.push(command)
      this.#setBytes += command.byteLength
      // A large transaction has no other end to what they hold: each of them may be of megabytes.
      if (this.#sets.length === mostSets || this.#setBytes >= batchBytes) this.#endSets()
      return true
    }
    this.#select(this.#db)
    command.addTo(this.#buffer)
    return true
  }

  /** As one MSET, which does the same: the target then has one command to queue and to answer, and not a thousand. */
  #endSets(): void {
    const sets = this.#sets
    const [first] = sets
    if (!first) return
    this.#sets = []
    this.#setBytes = 0
    this.#select(this.#db)
    if (sets.length === 1) {
      first.addTo(this.#buffer)
      return
    }
    this.#buffer.begin(1 + 2 * sets.length)
    this.#buffer.argument('MSET')
    for (const set of sets) set.addArgumentsTo(this.#buffer)
  }

  #add(effect: Effect, command: readonly Buffer[]): boolean {
    const { changed } = this.#options
    switch (effect.kind) {
      case 'control':
        this.#endSets()
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

  /** Called before anything is added. */
  #select(db: number): void {
    this.#endSets()
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
}
