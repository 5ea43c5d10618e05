/**
 * Rows with a value of many megabytes: written by statements of their own, the value in pieces that the target puts
 * together, so that this process holds it once, as it came, and never a second time.
 */
import { ReplatformError } from '@replatform/core/errors'
import { isSettable, renumbered, writtenColumns } from './apply-statements.ts'
import { cellStarts, isLarge, type SingleChange } from './change-batch.ts'
import type { FollowedTable } from './followed-table.ts'
import { cell, cellEnd, type Tuple } from './pgoutput.ts'
import type { Session } from './session.ts'
import { ident } from './sql.ts'

const pieceBytes = 4 * 1024 * 1024

/** Whether a change is written by `writeLargeRow`. Rows that are matched as a whole are not: their old values count too. */
export function isLargeRow(
  table: FollowedTable,
  change: SingleChange,
): change is Exclude<SingleChange, { kind: 'delete' }> {
  if (change.kind === 'delete' || !isLarge(change.row)) return false
  if (change.kind === 'insert') return true
  return table.key.length > 0 && renumbered(table, writtenColumns(table)).length === 0
}

/**
 * Inside the caller's transaction, with nothing of it on its way. Throws `postgresql.apply-diverged` unless it touched
 * one row.
 */
export async function writeLargeRow(
  session: Session,
  table: FollowedTable,
  change: Exclude<SingleChange, { kind: 'delete' }>,
): Promise<void> {
  for (const statement of makePieces) await session.query(statement)
  const values = new CellValues(session, table)
  const columns = writtenColumns(table).filter((i) => values.isSaid(change.row, i))
  const statement =
    change.kind === 'insert'
      ? await insertStatement(values, table, change.row, columns)
      : await updateStatement(values, table, change, columns)
  if (statement === undefined) return
  const { rowCount } = await session.query(statement, values.parameters)
  await session.query('DELETE FROM pg_temp.replatform_piece')
  if (rowCount === 1) return
  throw new ReplatformError('postgresql.apply-diverged', {
    message: `A change of 1 row of ${table.label} met ${rowCount} rows on the target.`,
  })
}

/** Not compressed: a value that is put together a moment later is not worth it. */
const makePieces = [
  'CREATE TEMP TABLE IF NOT EXISTS replatform_piece (place int, n int, piece bytea) ON COMMIT DELETE ROWS',
  'ALTER TABLE pg_temp.replatform_piece ALTER COLUMN piece SET STORAGE EXTERNAL',
]

async function insertStatement(values: CellValues, table: FollowedTable, row: Tuple, columns: readonly number[]) {
  const names = columns.map((i) => nameOf(table, i))
  const expressions: string[] = []
  for (const i of columns) expressions.push(await values.expression(row, i))
  return `INSERT INTO ${table.qualified} (${names.join(', ')}) OVERRIDING SYSTEM VALUE VALUES (${expressions.join(', ')})`
}

async function updateStatement(
  values: CellValues,
  table: FollowedTable,
  { old, row }: Extract<SingleChange, { kind: 'update' }>,
  columns: readonly number[],
) {
  const same: string[] = []
  for (const i of table.key) same.push(`${nameOf(table, i)} = ${await values.expression(old, i)}`)
  const sets: string[] = []
  for (const i of columns) {
    if (isSettable(table, i)) sets.push(`${nameOf(table, i)} = ${await values.expression(row, i)}`)
  }
  if (sets.length === 0) return undefined
  return `UPDATE ONLY ${table.qualified} SET ${sets.join(', ')} WHERE ${same.join(' AND ')}`
}

class CellValues {
  readonly parameters: (string | null)[] = []
  readonly #session: Session
  readonly #table: FollowedTable

  constructor(session: Session, table: FollowedTable) {
    this.#session = session
    this.#table = table
  }

  isSaid(row: Tuple, i: number): boolean {
    return row.data[this.#startOf(row, i)] !== cell.unchanged
  }

  /** What stands for the cell in a statement; a large one is on the target when it returns. */
  async expression({ data, at, end }: Tuple, i: number): Promise<string> {
    const start = this.#startOf({ data, at, end }, i)
    const type = this.#table.columns[i]?.type ?? 'text'
    const [from, to] = [start + 5, cellEnd(data, start)]
    if (data[start] === cell.text && to - from > pieceBytes) {
      await this.#send(data.subarray(from, to), i)
      return `(SELECT pg_catalog.convert_from(pg_catalog.string_agg(p.piece, ''::bytea ORDER BY p.n), 'UTF8')
        FROM pg_temp.replatform_piece p WHERE p.place = ${i})::${type}`
    }
    this.parameters.push(data[start] === cell.text ? data.toString('utf8', from, to) : null)
    return `$${this.parameters.length}::text::${type}`
  }

  async #send(value: Buffer, i: number): Promise<void> {
    for (let n = 0; n * pieceBytes < value.length; n++) {
      const piece = value.subarray(n * pieceBytes, (n + 1) * pieceBytes)
      await this.#session.query('INSERT INTO pg_temp.replatform_piece VALUES ($1, $2, $3)', [i, n, piece])
    }
  }

  #startOf(row: Tuple, i: number): number {
    return cellStarts(row, this.#table.columns.length)[i] as number
  }
}

function nameOf(table: FollowedTable, i: number): string {
  return ident(table.columns[i]?.name ?? '')
}
