/**
 * Writes batches on the target. A batch is one transaction that also moves the checkpoint and holds the epoch, so the
 * rows and the position that speaks for them are there together or not at all.
 */
import type { Log } from '@replatform/core/connector'
import { invariant, ReplatformError } from '@replatform/core/errors'
import type { SchemaChanges } from '@replatform/core/estate'
import type { QueryResult } from 'pg'
import {
  deleteOne,
  deleteRows,
  insertRows,
  isSettable,
  renumbered,
  renumberRows,
  type Statement,
  trackKeys,
  updateOne,
  updateRows,
  writtenColumns,
} from './apply-statements.ts'
import {
  type BatchPart,
  type ChangeBatch,
  cellStarts,
  hasUnchanged,
  keyOf,
  type NetChange,
  type RowKey,
  type SingleChange,
  type TableChanges,
} from './change-batch.ts'
import { decide } from './definition-policy.ts'
import { type FlowKey, requireEpoch } from './flow-store.ts'
import type { FollowedTable } from './followed-table.ts'
import { isLargeRow, writeLargeRow } from './large-row.ts'
import { formatLsn, type Lsn } from './lsn.ts'
import { cell, cellEnd, type Tuple } from './pgoutput.ts'
import type { DefinitionChange } from './schema-description.ts'
import type { Session } from './session.ts'
import { TextArray } from './text-array.ts'

export interface ApplierOptions {
  /** In pipeline mode, with replica role and nested loops only; see `prepareApplySession`. */
  readonly session: Session
  readonly key: FlowKey
  readonly epoch: bigint
  readonly schemaChanges: SchemaChanges
  readonly log: Log
}

/** What the session of an applier needs: no foreign keys or triggers of the user, and index look-ups by key. */
export async function prepareApplySession(session: Session): Promise<void> {
  const settings = {
    session_replication_role: 'replica',
    'replatform.carrying': 'on',
    // The source forgets what was acknowledged, so a commit must be on disk, whatever the server's own setting.
    synchronous_commit: 'on',
    enable_hashjoin: 'off',
    enable_mergejoin: 'off',
    enable_seqscan: 'off',
    plan_cache_mode: 'force_generic_plan',
    jit: 'off',
  }
  await Promise.all(Object.entries(settings).map(([name, value]) => session.query(`SET ${name} = ${value}`)))
}

export class Applier {
  /** Whether the keys of what is written are recorded for the next comparison. */
  isTracking = false
  readonly #options: ApplierOptions
  /** A transaction of the source that is larger than a batch is being written. */
  #isOpen = false

  constructor(options: ApplierOptions) {
    this.#options = options
  }

  /** Resolves when the batch is committed, or written and awaiting the rest of its transaction. */
  async apply(batch: ChangeBatch): Promise<void> {
    const mayReorder = !this.#isOpen && batch.commit !== null
    try {
      await this.#write(batch, mayReorder)
    } catch (thrown) {
      await this.rollback()
      if (!mayReorder || !isViolatedInPassing(thrown)) throw thrown
      await this.#write(batch, false)
    }
  }

  /**
   * Moves the checkpoint without rows, when everything before `position` is known to be applied. Also tells that the
   * target still answers and that the epoch is still ours.
   */
  async checkpoint(position: Lsn): Promise<void> {
    const pipeline = new Pipeline(this.#options.session)
    this.#checkpoint(pipeline, formatLsn(position))
    await pipeline.settle()
  }

  /** Undoes what was written of an unfinished transaction. */
  async rollback(): Promise<void> {
    this.#isOpen = false
    await this.#options.session.query('ROLLBACK').catch(() => {})
  }

  async #write(batch: ChangeBatch, mayReorder: boolean): Promise<void> {
    const { session } = this.#options
    const pipeline = new Pipeline(session)
    if (!this.#isOpen) {
      pipeline.send('BEGIN')
      pipeline.send('SET CONSTRAINTS ALL DEFERRED')
    }
    this.#isOpen = true
    if (batch.commit) this.#checkpoint(pipeline, formatLsn(batch.commit.end))
    for (const part of batch.parts) {
      if (part.kind === 'single' && isLargeRow(part.table, part.change)) {
        await pipeline.settle()
        requireRows(part.table, await writeLargeRow(session, part.table, part.change), 1)
      } else if (part.kind === 'definition') this.#define(pipeline, part.change, batch.lastLsn)
      else this.#part(pipeline, part, mayReorder)
    }
    if (this.isTracking) this.#track(pipeline, batch)
    await pipeline.settle()
    if (!batch.commit) return
    await session.query('COMMIT')
    this.#isOpen = false
  }

  #checkpoint(pipeline: Pipeline, position: string): void {
    const { key, epoch } = this.#options
    pipeline.send(
      {
        name: 'replatform_checkpoint',
        text: `UPDATE replatform.flow SET position = $4 WHERE move = $1 AND direction = $2 AND epoch = $3`,
      },
      [key.move, key.direction, epoch, position],
      (result) => requireEpoch(result.rowCount, key),
    )
  }

  /** In the transaction of the rows around it, as on the source. */
  #define(pipeline: Pipeline, change: DefinitionChange, at: Lsn): void {
    const { key, schemaChanges, log } = this.#options
    const { outcome, statements } = decide(change, schemaChanges)
    const said = { move: key.move, tag: change.tag, object: change.object, outcome }
    if (outcome === 'carried') log.info(said, 'a change of the schema is carried over')
    else log.warn(said, 'a change of the schema is not carried over')
    if (outcome === 'carried') for (const statement of statements) pipeline.send(statement)
    pipeline.send(noteOutcome, [key.move, key.direction, formatLsn(at), change.tag, change.object, outcome, statements])
  }

  #part(pipeline: Pipeline, part: Exclude<BatchPart, { kind: 'definition' }>, mayReorder: boolean): void {
    if (part.kind === 'truncate') {
      const names = part.tables.map((table) => `ONLY ${table.qualified}`).join(', ')
      pipeline.send(
        `TRUNCATE ${names}${part.restartIdentity ? ' RESTART IDENTITY' : ''}${part.cascade ? ' CASCADE' : ''}`,
      )
    } else if (part.kind === 'single') {
      sendSingle(pipeline, part.table, part.change)
    } else {
      for (const changes of part.tables.values()) {
        if (changes.table.hasOtherUniques && !mayReorder) sendOrdered(pipeline, changes)
        else sendNet(pipeline, changes)
      }
    }
  }

  #track(pipeline: Pipeline, batch: ChangeBatch): void {
    const { key } = this.#options
    const position = formatLsn(batch.commit?.end ?? batch.lastLsn)
    const { keys, wholes } = touched(batch)
    for (const table of wholes) pipeline.send(trackWhole, [key.move, key.direction, table.label, position])
    for (const [table, tuples] of keys) {
      const arrays = columnArrays(table, table.key, [...tuples.values()])
      pipeline.send(trackKeys(table), [key.move, key.direction, table.label, position, ...arrays])
    }
  }
}

const noteOutcome: Statement = {
  name: 'replatform_note_outcome',
  text: `INSERT INTO replatform.definition_change (move, direction, position, tag, object, outcome, statements)
    VALUES ($1, $2, $3, $4, $5, $6, $7)`,
}

const trackWhole: Statement = {
  name: 'replatform_track_whole',
  text: `INSERT INTO replatform.changed VALUES ($1, $2, $3, '{}', $4)
    ON CONFLICT (move, direction, relation, key) DO UPDATE SET position = excluded.position`,
}

/** Statements on their way; `settle` waits for all of them and throws the first thing that went wrong. */
class Pipeline {
  readonly #session: Session
  readonly #sent: Promise<void>[] = []

  constructor(session: Session) {
    this.#session = session
  }

  send(
    statement: Statement | string,
    values: readonly unknown[] = [],
    check: (result: QueryResult) => void = () => {},
  ): void {
    const query = typeof statement === 'string' ? { text: statement } : statement
    const sent = this.#session.query({ ...query, values: [...values] }).then(check)
    sent.catch(() => {})
    this.#sent.push(sent)
  }

  async settle(): Promise<void> {
    const results = await Promise.allSettled(this.#sent)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }
}

/** Deletes, then updates, then inserts: with one unique index, that order never violates it in passing. */
function sendNet(pipeline: Pipeline, { table, net }: TableChanges): void {
  const deletes: Tuple[] = []
  const inserts: Tuple[] = []
  const updates = new Map<string, UpdateGroup>()
  for (const change of inOrderOfKeys(net)) collect(table, change, { deletes, inserts, updates })
  if (deletes.length > 0) send(pipeline, table, deleteRows(table), table.key, deletes)
  for (const { columns, rows } of updates.values()) {
    if (columns.some((i) => isSettable(table, i))) send(pipeline, table, updateRows(table, columns), columns, rows)
    sendRenumbered(pipeline, table, columns, rows)
  }
  if (inserts.length > 0) send(pipeline, table, insertRows(table), writtenColumns(table), inserts)
}

/**
 * Neighbours in the index and, mostly, in the table come one after the other: the target touches each page once,
 * which spares it a quarter of its work on a table of a million rows.
 */
function inOrderOfKeys(net: TableChanges['net']): Iterable<NetChange> {
  let last: RowKey | undefined
  let isInOrder = true
  for (const key of net.keys()) {
    if (last !== undefined && byKey(last, key) > 0) {
      isInOrder = false
      break
    }
    last = key
  }
  if (isInOrder) return net.values()
  return [...net].sort(([a], [b]) => byKey(a, b)).map(([, change]) => change)
}

/** Numbers as such; what is text in some order that is kin to most indexes'. */
function byKey(a: RowKey, b: RowKey): number {
  if (typeof a === typeof b) return a < b ? -1 : 1
  return typeof a === 'number' ? -1 : 1
}

interface Groups {
  readonly deletes: Tuple[]
  readonly inserts: Tuple[]
  /** By the columns that are said. */
  readonly updates: Map<string, UpdateGroup>
}

interface UpdateGroup {
  readonly columns: readonly number[]
  readonly rows: Tuple[]
}

const wholeRows = 'all'

function collect(table: FollowedTable, { existed, key, row }: NetChange, groups: Groups): void {
  if (!row) {
    if (existed) groups.deletes.push(key)
    return
  }
  if (!existed) {
    groups.inserts.push(row)
    return
  }
  const isWhole = !hasUnchanged(row)
  const columns = isWhole ? writtenColumns(table) : saidColumns(table, row)
  const id = isWhole ? wholeRows : columns.join()
  const group = groups.updates.get(id)
  if (group) group.rows.push(row)
  else if (columns.some((i) => !table.key.includes(i))) groups.updates.set(id, { columns, rows: [row] })
}

/** One by one in the order of the source, for when the net effect would violate a unique index in passing. */
function sendOrdered(pipeline: Pipeline, { table, ordered }: TableChanges): void {
  for (const change of ordered) sendSingle(pipeline, table, change)
}

function sendSingle(pipeline: Pipeline, table: FollowedTable, change: SingleChange): void {
  if (change.kind === 'insert') {
    send(pipeline, table, insertRows(table), writtenColumns(table), [change.row])
    return
  }
  const columns = table.key.length > 0 ? table.key : writtenColumns(table)
  const match = { columns, texts: cellTexts(table, change.old, columns) }
  if (change.kind === 'delete') {
    pipeline.send(deleteOne(table, match), match.texts, (result) => requireRows(table, result.rowCount, 1))
    return
  }
  if (table.key.length === 0 && isRenumbered(table, change)) {
    sendSingle(pipeline, table, { kind: 'delete', old: change.old })
    sendSingle(pipeline, table, { kind: 'insert', row: change.row })
    return
  }
  requireSettableKey(table, change)
  const said = saidColumns(table, change.row)
  const set = said.filter((i) => !table.columns[i]?.isIdentityAlways)
  const values = cellTexts(table, change.row, set)
  if (set.length > 0) {
    pipeline.send(updateOne(table, match, set), [...match.texts, ...values], (result) =>
      requireRows(table, result.rowCount, 1),
    )
  }
  if (table.key.length > 0) sendRenumbered(pipeline, table, said, [change.row])
}

/** A key that changes is set by an UPDATE here, since a large value of the row was left unsaid. */
function requireSettableKey(table: FollowedTable, { old, row }: { old: Tuple; row: Tuple }): void {
  if (!table.key.some((i) => table.columns[i]?.isIdentityAlways) || keyOf(table, old) === keyOf(table, row)) return
  throw new ReplatformError('postgresql.unidentifiable-row', {
    message: `A row of ${table.label} was given another generated key, and its large values were not sent with it.`,
  })
}

function sendRenumbered(
  pipeline: Pipeline,
  table: FollowedTable,
  columns: readonly number[],
  rows: readonly Tuple[],
): void {
  if (renumbered(table, columns).length === 0) return
  pipeline.send(renumberRows(table, columns), columnArrays(table, columns, rows))
}

/** Of a table without a key, whose old row comes whole. */
function isRenumbered(table: FollowedTable, { old, row }: { old: Tuple; row: Tuple }): boolean {
  const identities = renumbered(table, writtenColumns(table))
  const before = cellTexts(table, old, identities)
  return cellTexts(table, row, identities).some((text, n) => text !== before[n])
}

function send(
  pipeline: Pipeline,
  table: FollowedTable,
  statement: Statement,
  columns: readonly number[],
  rows: readonly Tuple[],
): void {
  pipeline.send(statement, columnArrays(table, columns, rows), (result) =>
    requireRows(table, result.rowCount, rows.length),
  )
}

/** Something else wrote on the target, or a change would be applied twice: neither may pass. */
function requireRows(table: FollowedTable, touched: number | null, expected: number): void {
  if (touched === expected) return
  throw new ReplatformError('postgresql.apply-diverged', {
    message: `Changes of ${expected} rows of ${table.label} met ${touched} rows on the target.`,
  })
}

function columnArrays(table: FollowedTable, columns: readonly number[], rows: readonly Tuple[]): Buffer[] {
  const arrays = columns.map(() => new TextArray())
  for (const row of rows) {
    const starts = cellStarts(row, table.columns.length)
    for (let n = 0; n < columns.length; n++) {
      const at = starts[columns[n] as number] as number
      const array = arrays[n] as TextArray
      if (row.data[at] === cell.text) array.append(row.data, at + 5, cellEnd(row.data, at))
      else appendNull(array, table, row.data[at])
    }
  }
  return arrays.map((array) => array.finish())
}

function appendNull(array: TextArray, table: FollowedTable, kind: number | undefined): void {
  invariant(kind === cell.null, `A value of ${table.label} that is not here is written as if it were null.`)
  array.appendNull()
}

function cellTexts(table: FollowedTable, tuple: Tuple, columns: readonly number[]): (string | null)[] {
  const starts = cellStarts(tuple, table.columns.length)
  return columns.map((i) => {
    const at = starts[i] as number
    const isHere = tuple.data[at] === cell.text || tuple.data[at] === cell.null
    invariant(isHere, `A row of ${table.label} is matched by a value that is not here.`)
    return tuple.data[at] === cell.text ? tuple.data.toString('utf8', at + 5, cellEnd(tuple.data, at)) : null
  })
}

/** Columns whose value the tuple carries. */
function saidColumns(table: FollowedTable, tuple: Tuple): number[] {
  const starts = cellStarts(tuple, table.columns.length)
  return writtenColumns(table).filter((i) => tuple.data[starts[i] as number] !== cell.unchanged)
}

interface Touched {
  /** Each key once, with a tuple that carries it. */
  readonly keys: Map<FollowedTable, Map<RowKey, Tuple>>
  /** Tables that must be compared as a whole: without a key, or truncated. */
  readonly wholes: Set<FollowedTable>
}

function touched(batch: ChangeBatch): Touched {
  const result: Touched = { keys: new Map(), wholes: new Set() }
  for (const part of batch.parts) {
    if (part.kind === 'truncate') for (const table of part.tables) result.wholes.add(table)
    else if (part.kind === 'single') touchSingle(result, part.table, part.change)
    else if (part.kind === 'changes') for (const { table, net } of part.tables.values()) touchNet(result, table, net)
  }
  return result
}

function touchNet({ keys }: Touched, table: FollowedTable, net: Map<RowKey, NetChange>): void {
  const known = keysOf(keys, table)
  for (const [key, change] of net) known.set(key, change.row ?? change.key)
}

function touchSingle({ keys, wholes }: Touched, table: FollowedTable, change: SingleChange): void {
  if (table.key.length === 0) {
    wholes.add(table)
    return
  }
  const known = keysOf(keys, table)
  if (change.kind !== 'insert') known.set(keyOf(table, change.old), change.old)
  if (change.kind !== 'delete') known.set(keyOf(table, change.row), change.row)
}

function keysOf(keys: Touched['keys'], table: FollowedTable): Map<RowKey, Tuple> {
  const known = keys.get(table) ?? new Map<RowKey, Tuple>()
  keys.set(table, known)
  return known
}

/** Of a unique index or an exclusion constraint. */
function isViolatedInPassing(thrown: unknown): boolean {
  const { code } = thrown as { code?: string }
  return code === '23505' || code === '23P01'
}
