/**
 * Changes of one or more source transactions, folded to their net effect by key: a row that was written a hundred times
 * is written once, and a row that came and went not at all. The target sees only whole source transactions, so no
 * reader can tell.
 *
 * What must keep its place (TRUNCATE, a change of key that leaves a large value unsaid, a row of many megabytes, tables without a key) ends a
 * part; parts are applied in order.
 */
import { invariant, ReplatformError } from '@replatform/core/errors'
import type { FollowedTable } from './followed-table.ts'
import { type Commit, cell, cellEnd, type Tuple } from './pgoutput.ts'
import type { DefinitionChange } from './schema-description.ts'
import type { SpilledFrame } from './spilled-frame.ts'

/** What happens to one row, all in all. */
export interface NetChange {
  /** The row is on the target before the batch. */
  readonly existed: boolean
  /** Any tuple that carries the key as it is on the target. */
  readonly key: Tuple
  /** The row after the batch; null when it is gone. */
  row: Tuple | null
}

export type SingleChange =
  | { readonly kind: 'insert'; readonly row: Tuple }
  | { readonly kind: 'update'; readonly old: Tuple; readonly row: Tuple }
  | { readonly kind: 'delete'; readonly old: Tuple }

export interface TableChanges {
  readonly table: FollowedTable
  readonly net: Map<RowKey, NetChange>
  /** The same changes one by one; kept only where the net effect may not be applicable as it is. */
  readonly ordered: SingleChange[]
}

export type BatchPart =
  | { readonly kind: 'changes'; readonly tables: Map<FollowedTable, TableChanges> }
  | { readonly kind: 'definition'; readonly change: DefinitionChange }
  | { readonly kind: 'single'; readonly table: FollowedTable; readonly change: SingleChange }
  | {
      readonly kind: 'truncate'
      readonly tables: readonly FollowedTable[]
      readonly cascade: boolean
      readonly restartIdentity: boolean
    }

/** Its large values are on disk: it is a part of its own, see `large-row.ts`. */
export function isLarge({ spilled }: Tuple): boolean {
  return spilled !== undefined
}

export class ChangeBatch {
  readonly parts: BatchPart[] = []
  /** Of the last whole transaction; null while a transaction that is larger than a batch goes on. */
  commit: Commit | null = null
  /** When the first transaction in it was committed, by the source's clock: microseconds since 2000-01-01. */
  firstCommitAt: bigint | null = null
  /** Where the last transaction that is in it, whole or in part, was committed. */
  lastLsn = 0n
  /** Holds a mark that somebody waits for, so the checkpoint must move even if nothing else is written. */
  hasBarrier = false
  /** Its last part changes what tables are like. */
  definesTables = false
  transactions = 0
  rows = 0
  bytes = 0
  /** Large values of its rows, set aside on disk. */
  readonly spilled = new Set<SpilledFrame>()
  #open: Map<FollowedTable, TableChanges> | null = null

  get isEmpty(): boolean {
    return this.parts.length === 0
  }

  insert(table: FollowedTable, row: Tuple): void {
    this.#count(row)
    if (table.key.length === 0 || isLarge(row)) {
      this.#single(table, { kind: 'insert', row })
      return
    }
    const changes = this.#changes(table)
    const key = keyOf(table, row)
    const before = changes.net.get(key)
    invariant(!before?.row, `The stream inserts a row into ${table.label} that exists already.`)
    changes.net.set(key, { existed: before?.existed ?? false, key: before?.key ?? row, row })
    if (table.hasOtherUniques) changes.ordered.push({ kind: 'insert', row })
  }

  update(table: FollowedTable, old: Tuple | null, sent: Tuple): void {
    this.#count(sent)
    const row = old ? fillFromOld(table, old, sent) : sent
    if (table.key.length === 0) {
      this.#single(table, { kind: 'update', old: requireOld(table, old), row })
      return
    }
    const newKey = keyOf(table, row)
    const oldKey = old ? keyOf(table, old) : newKey
    if (old && oldKey !== newKey) {
      this.#changeKey(table, { old, oldKey, row, newKey })
      return
    }
    if (isLarge(row)) {
      this.#single(table, { kind: 'update', old: old ?? row, row })
      return
    }
    const changes = this.#changes(table)
    const before = changes.net.get(newKey)
    if (before) {
      invariant(before.row, `The stream updates a row of ${table.label} that it deleted before.`)
      before.row = mergeUnchanged(before.row, row)
    } else {
      changes.net.set(newKey, { existed: true, key: row, row })
    }
    if (table.hasOtherUniques) changes.ordered.push({ kind: 'update', old: row, row })
  }

  delete(table: FollowedTable, old: Tuple): void {
    this.#count(old)
    if (table.key.length === 0) {
      this.#single(table, { kind: 'delete', old })
      return
    }
    const changes = this.#changes(table)
    this.#remove(changes, keyOf(table, old), old)
    if (table.hasOtherUniques) changes.ordered.push({ kind: 'delete', old })
  }

  truncate(tables: readonly FollowedTable[], options: { cascade: boolean; restartIdentity: boolean }): void {
    if (tables.length === 0) return
    this.#open = null
    this.rows += 1
    this.parts.push({ kind: 'truncate', tables, ...options })
  }

  /** The batch ends with it: what follows is decoded by what the target's tables are like then. */
  define(change: DefinitionChange): void {
    this.#open = null
    this.rows += 1
    this.parts.push({ kind: 'definition', change })
    this.definesTables = true
  }

  /** The old row goes and the new one comes, unless a large value of it was left unsaid: then the row itself moves. */
  #changeKey(table: FollowedTable, change: { old: Tuple; oldKey: RowKey; row: Tuple; newKey: RowKey }): void {
    const { old, oldKey, row, newKey } = change
    const changes = this.#changes(table)
    const before = changes.net.get(oldKey)?.row
    const complete = before ? mergeUnchanged(before, row) : row
    if (hasUnchanged(complete)) {
      this.#single(table, { kind: 'update', old, row })
      return
    }
    if (isLarge(complete)) {
      this.#single(table, { kind: 'delete', old })
      this.#single(table, { kind: 'insert', row: complete })
      return
    }
    this.#remove(changes, oldKey, old)
    const taken = changes.net.get(newKey)
    invariant(!taken?.row, `The stream gives a row of ${table.label} a key that exists already.`)
    changes.net.set(newKey, { existed: taken?.existed ?? false, key: row, row: complete })
    if (table.hasOtherUniques) changes.ordered.push({ kind: 'update', old, row: complete })
  }

  #remove(changes: TableChanges, key: RowKey, old: Tuple): void {
    const before = changes.net.get(key)
    invariant(!before || before.row, `The stream deletes a row of ${changes.table.label} twice.`)
    changes.net.set(key, { existed: before?.existed ?? true, key: before?.key ?? old, row: null })
  }

  #changes(table: FollowedTable): TableChanges {
    if (!this.#open) {
      this.#open = new Map()
      this.parts.push({ kind: 'changes', tables: this.#open })
    }
    let changes = this.#open.get(table)
    if (!changes) {
      changes = { table, net: new Map(), ordered: [] }
      this.#open.set(table, changes)
    }
    return changes
  }

  #single(table: FollowedTable, change: SingleChange): void {
    this.#open = null
    this.parts.push({ kind: 'single', table, change })
  }

  #count(tuple: Tuple): void {
    this.rows += 1
    this.bytes += tuple.end - tuple.at
    if (!tuple.spilled) return
    this.spilled.add(tuple.spilled)
    this.bytes += tuple.spilled.bytes
  }
}

/** What a map can hold of a row's key; the same for the same bytes, and for no others. */
export type RowKey = string | number

/** The bytes of the key's cells, each with its length; of a single one that is a plain number, the number. */
export function keyOf(table: FollowedTable, tuple: Tuple): RowKey {
  const { data } = tuple
  const [only] = table.key
  if (table.key.length === 1 && only !== undefined) {
    let at = tuple.at + 2
    for (let i = 0; i < only; i++) at = cellEnd(data, at)
    if (data[at] !== cell.text) throw unidentifiable(table)
    const end = cellEnd(data, at)
    return plainNumber(data, at + 5, end) ?? data.toString('latin1', at + 5, end)
  }
  const starts = cellStarts(tuple, table.columns.length)
  let key = ''
  for (const index of table.key) {
    const at = starts[index] as number
    if (data[at] !== cell.text) throw unidentifiable(table)
    key += data.toString('latin1', at + 1, cellEnd(data, at))
  }
  return key
}

/** Of digits that are written in no other way and that a number holds exactly; making a string takes far longer. */
function plainNumber(data: Buffer, from: number, to: number): number | undefined {
  const isLeadingZero = data[from] === 0x30 && to - from > 1
  if (to - from > 15 || to === from || isLeadingZero) return undefined
  let number = 0
  for (let i = from; i < to; i++) {
    const digit = (data[i] as number) - 0x30
    if (digit < 0 || digit > 9) return undefined
    number = number * 10 + digit
  }
  return number
}

/** Where each cell of a tuple begins. The array is reused by the next call. */
const reused: number[] = []
export function cellStarts(tuple: Tuple, columns: number): readonly number[] {
  let at = tuple.at + 2
  for (let i = 0; i < columns; i++) {
    reused[i] = at
    at = cellEnd(tuple.data, at)
  }
  return reused
}

export function hasUnchanged({ data, at }: Tuple): boolean {
  let from = at + 2
  for (let left = data.readUInt16BE(at); left > 0; left--) {
    if (data[from] === cell.unchanged) return true
    from = cellEnd(data, from)
  }
  return false
}

/** `row` with the cells that it leaves unsaid, all or those named, taken from the same row as it was before. */
export function mergeUnchanged(before: Tuple, row: Tuple, only?: ReadonlySet<number>): Tuple {
  if (!hasUnchanged(row)) return row
  const count = row.data.readUInt16BE(row.at)
  const pieces = [row.data.subarray(row.at, row.at + 2)]
  let oldAt = before.at + 2
  let newAt = row.at + 2
  for (let i = 0; i < count; i++) {
    const oldEnd = cellEnd(before.data, oldAt)
    const newEnd = cellEnd(row.data, newAt)
    const keep = row.data[newAt] === cell.unchanged && (only?.has(i) ?? true)
    pieces.push(keep ? before.data.subarray(oldAt, oldEnd) : row.data.subarray(newAt, newEnd))
    oldAt = oldEnd
    newAt = newEnd
  }
  const data = Buffer.concat(pieces)
  // Both are of one message where either has values on disk.
  const spilled = row.spilled ?? before.spilled
  return spilled ? { data, at: 0, end: data.length, spilled } : { data, at: 0, end: data.length }
}

/**
 * What the new tuple leaves unsaid and the old one says: everything where that is the whole row, otherwise the key
 * alone, whose large values come with the old tuple; there a null means "not part of the identity".
 */
function fillFromOld(table: FollowedTable, old: Tuple, row: Tuple): Tuple {
  if (!hasUnchanged(row)) return row
  return table.isFull ? mergeUnchanged(old, row) : mergeUnchanged(old, row, new Set(table.key))
}

function requireOld(table: FollowedTable, old: Tuple | null): Tuple {
  if (!old) throw unidentifiable(table)
  return old
}

function unidentifiable(table: FollowedTable): ReplatformError {
  return new ReplatformError('postgresql.unidentifiable-row', {
    message: `A change of ${table.label} does not say which row it means.`,
  })
}
