import { ChangeBatch } from './change-batch.ts'
import { decodeDefinition, isDefinitionTable } from './definition-stream.ts'
import type { FollowedTable } from './followed-table.ts'
import type { Lsn } from './lsn.ts'
import {
  type Commit,
  decodeLarge,
  decodePgoutput,
  type Message,
  type PgoutputHandler,
  type Relation,
  type Tuple,
} from './pgoutput.ts'

/** A batch is full at either; a larger transaction is written in parts of this size. */
const rowsMost = 60_000
const bytesMost = 8 * 1024 * 1024

/** Holds a row so large that no other may be received beside it. */
export function isHuge({ bytes }: ChangeBatch): boolean {
  return bytes >= 3 * bytesMost
}

interface Hold {
  readonly at: Lsn
  readonly reached: PromiseWithResolvers<void>
  /** A transaction at or after the hold has begun: what was gathered before is all there is. */
  isPassed: boolean
  isReached: boolean
}

export interface BatchQueueOptions {
  readonly move: string
  readonly resolveTable: (relation: Relation) => FollowedTable | undefined
  /** Called when `next` may have something. */
  readonly onReady: () => void
}

/** Turns messages into batches, and keeps back what lies behind a hold. */
export class BatchQueue implements PgoutputHandler {
  readonly #options: BatchQueueOptions
  readonly #relations = new Map<number, Relation>()
  readonly #tables = new Map<number, FollowedTable | undefined>()
  readonly #sealed: ChangeBatch[] = []
  #gathering = new ChangeBatch()
  #transactionLsn: Lsn | null = null
  #isWriterIdle = false
  #definitionTable: Relation | null = null
  /** Messages that wait until a change of definitions is on the target; null while there is none on its way. */
  #waiting: Message[] | null = null
  #hold: Hold | null = null
  /** How many sealed batches lie before a hold that was passed; the others stay. */
  #beforeHold = 0

  constructor(options: BatchQueueOptions) {
    this.#options = options
  }

  get isFull(): boolean {
    if (this.#waiting !== null || this.#sealed.length >= 2) return true
    return this.#sealed.length > 0 && (this.#isGatheringFull() || this.#sealed.some((batch) => isHuge(batch)))
  }

  /** Nothing is here, not even the beginning of a transaction. */
  get isEmpty(): boolean {
    return (
      this.#waiting === null &&
      this.#sealed.length === 0 &&
      this.#transactionLsn === null &&
      this.#gathering.commit === null
    )
  }

  /** When the oldest transaction that waits here was committed; null where none waits. */
  get oldestCommitAt(): bigint | null {
    return this.#sealed[0]?.firstCommitAt ?? this.#gathering.firstCommitAt
  }

  take(data: Buffer, at: number, end: number, isWriterIdle: boolean): void {
    this.#isWriterIdle = isWriterIdle
    if (this.#waiting) {
      this.#waiting.push({ data, at, end })
      return
    }
    decodePgoutput(data, at, end, this)
    this.#sealWhatIsFull()
  }

  /** A row whose large values were set aside; they are closed with its batch. */
  takeLarge(message: Required<Message>, isWriterIdle: boolean): void {
    this.#isWriterIdle = isWriterIdle
    if (this.#waiting) {
      this.#waiting.push(message)
      return
    }
    const batch = this.#gathering
    decodeLarge(message, this)
    // Of a table that is not followed.
    if (!batch.spilled.has(message.spilled)) message.spilled.close()
    this.#sealWhatIsFull()
  }

  #sealWhatIsFull(): void {
    if (this.#gathering.definesTables) {
      this.#sealUnfinished()
      this.#waiting = []
    } else if (this.#transactionLsn !== null && this.#isGatheringFull()) this.#sealUnfinished()
  }

  /** Goes on once a batch that defines tables is written. What is known of the tables is forgotten. */
  resume(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = null
    for (const [oid, relation] of this.#relations) this.#tables.set(oid, this.#resolveLate(relation))
    for (const { data, at, end, spilled } of waiting) {
      if (spilled) this.takeLarge({ data, at, end, spilled }, this.#isWriterIdle)
      else this.take(data, at, end, this.#isWriterIdle)
    }
  }

  /** The next batch to write, or undefined while there is none or a hold keeps it back. */
  next(): ChangeBatch | undefined {
    const sealed = this.#isHeldBack() ? undefined : this.#sealed.shift()
    if (sealed) return sealed
    if (this.#hold?.isPassed || this.#hold?.isReached) return undefined
    if (this.#transactionLsn !== null || this.#gathering.commit === null) return undefined
    return this.#swap()
  }

  /** Resolves when all that was committed before `at` has been handed out and written. */
  hold(at: Lsn): Promise<void> {
    this.#hold = { at, reached: Promise.withResolvers(), isPassed: false, isReached: false }
    this.#hold.reached.promise.catch(() => {})
    return this.#hold.reached.promise
  }

  /** Call when `next` had nothing and the last batch is written. `received`: the server has sent all before it. */
  settleHold(received: Lsn): void {
    const hold = this.#hold
    if (!hold || hold.isReached) return
    const isQuiet = this.isEmpty && received >= hold.at
    if (!hold.isPassed && !isQuiet) return
    hold.isReached = true
    hold.reached.resolve()
  }

  endHold(reason: Error): void {
    this.#hold?.reached.reject(reason)
    this.#hold = null
  }

  begin(finalLsn: Lsn, at: bigint): void {
    if (this.#hold && !this.#hold.isPassed && finalLsn >= this.#hold.at) {
      this.#seal()
      this.#hold.isPassed = true
      this.#beforeHold = this.#sealed.length
      this.#options.onReady()
    } else if ((this.#isWriterIdle && this.#sealed.length === 0) || this.#isGatheringHalfFull()) {
      this.#seal()
    }
    this.#transactionLsn = finalLsn
    this.#gathering.lastLsn = finalLsn
    this.#gathering.firstCommitAt ??= at
  }

  commit(commit: Commit): void {
    this.#transactionLsn = null
    this.#gathering.commit = commit
    this.#gathering.transactions += 1
    this.#options.onReady()
  }

  relation(relation: Relation): void {
    if (isDefinitionTable(relation)) this.#definitionTable = relation
    this.#relations.set(relation.oid, relation)
    this.#tables.set(relation.oid, this.#options.resolveTable(relation))
  }

  insert(oid: number, row: Tuple): void {
    if (oid === this.#definitionTable?.oid) {
      const change = decodeDefinition(this.#definitionTable, row, this.#options.move)
      if (change) this.#gathering.define(change)
      return
    }
    const table = this.#table(oid)
    if (table) this.#gathering.insert(table, row)
  }

  update(oid: number, old: Tuple | null, row: Tuple): void {
    const table = this.#table(oid)
    if (table) this.#gathering.update(table, old, row)
  }

  delete(oid: number, old: Tuple): void {
    const table = this.#table(oid)
    if (table) this.#gathering.delete(table, old)
  }

  truncate(oids: readonly number[], options: { cascade: boolean; restartIdentity: boolean }): void {
    const tables = oids.flatMap((oid) => this.#table(oid) ?? [])
    this.#gathering.truncate(tables, options)
  }

  /** A table that changed is described anew before its next row, so one that no longer fits is not asked for. */
  #resolveLate(relation: Relation): FollowedTable | undefined {
    try {
      return this.#options.resolveTable(relation)
    } catch {
      return undefined
    }
  }

  #isHeldBack(): boolean {
    if (!this.#hold?.isPassed) return false
    if (this.#beforeHold === 0) return true
    this.#beforeHold -= 1
    return false
  }

  #table(oid: number): FollowedTable | undefined {
    const table = this.#tables.get(oid)
    if (table && (this.#transactionLsn ?? 0n) >= table.skipBefore) return table
    if (!table) this.#gathering.hasBarrier = true
    return undefined
  }

  #isGatheringFull(): boolean {
    return this.#gathering.rows >= rowsMost || this.#gathering.bytes >= bytesMost
  }

  #isGatheringHalfFull(): boolean {
    return this.#gathering.rows >= rowsMost / 2 || this.#gathering.bytes >= bytesMost / 2
  }

  /** Between transactions: what was gathered is whole. */
  #seal(): void {
    if (this.#gathering.commit === null) return
    this.#sealed.push(this.#swap())
  }

  /** In the middle of a transaction: this part waits on the target for the rest. */
  #sealUnfinished(): void {
    this.#gathering.commit = null
    this.#sealed.push(this.#swap())
    this.#options.onReady()
  }

  #swap(): ChangeBatch {
    const batch = this.#gathering
    this.#gathering = new ChangeBatch()
    this.#gathering.lastLsn = batch.lastLsn
    return batch
  }
}
