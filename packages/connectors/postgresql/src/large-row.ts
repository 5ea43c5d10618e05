/**
 * Rows with values that were set aside on disk: written by statements of their own, such a value in pieces that the
 * target puts together, so that this process holds a piece of it at most.
 */
import { isSettable, renumbered, renumberRows, thatRow, writtenColumns } from './apply-statements.ts'
import { cellStarts, isLarge, type SingleChange } from './change-batch.ts'
import type { FollowedTable } from './followed-table.ts'
import { cell, cellEnd, type Tuple } from './pgoutput.ts'
import type { Session } from './session.ts'
import { ident } from './sql.ts'
import { TextArray } from './text-array.ts'

/** Whether a change is written by `writeLargeRow`. */
export function isLargeRow(table: FollowedTable, change: SingleChange): boolean {
  if (change.kind !== 'delete') return isLarge(change.row)
  return table.key.length === 0 && isLarge(change.old)
}

/** Inside the caller's transaction, with nothing of it on its way. Returns how many rows it touched: one is right. */
export async function writeLargeRow(session: Session, table: FollowedTable, change: SingleChange): Promise<number> {
  for (const statement of makePieces) await session.query(statement)
  const touched = await write(session, table, change)
  await session.query('DELETE FROM pg_temp.replatform_piece')
  return touched
}

/** Not compressed: a value that is put together a moment later is not worth it. */
const makePieces = [
  'CREATE TEMP TABLE IF NOT EXISTS replatform_piece (place int, n int, piece bytea) ON COMMIT DELETE ROWS',
  'ALTER TABLE pg_temp.replatform_piece ALTER COLUMN piece SET STORAGE EXTERNAL',
]

async function write(session: Session, table: FollowedTable, change: SingleChange): Promise<number> {
  if (change.kind === 'insert') return insert(session, table, change.row)
  if (change.kind === 'delete') return remove(session, table, change.old)
  const identities = renumbered(table, writtenColumns(table))
  if (identities.length === 0) return update(session, table, change)
  if (table.key.length > 0) {
    const touched = await update(session, table, change)
    await renumber(session, table, change.row, [...table.key, ...identities])
    return touched
  }
  // No UPDATE sets such an identity; without a key both rows came whole.
  const touched = await remove(session, table, change.old)
  return touched === 1 ? insert(session, table, change.row) : touched
}

async function insert(session: Session, table: FollowedTable, row: Tuple): Promise<number> {
  const values = new CellValues(session, table)
  const columns = writtenColumns(table)
  const expressions: string[] = []
  for (const i of columns) expressions.push(await values.expression(row, i))
  const names = columns.map((i) => nameOf(table, i)).join(', ')
  return values.run(
    `INSERT INTO ${table.qualified} (${names}) OVERRIDING SYSTEM VALUE VALUES (${expressions.join(', ')})`,
  )
}

async function update(session: Session, table: FollowedTable, { old, row }: { old: Tuple; row: Tuple }) {
  const values = new CellValues(session, table)
  const match = await values.match(old)
  const sets: string[] = []
  for (const i of writtenColumns(table)) {
    const isSaid = row.data[startOf(table, row, i)] !== cell.unchanged
    if (isSaid && isSettable(table, i)) sets.push(`${nameOf(table, i)} = ${await values.expression(row, i)}`)
  }
  if (sets.length === 0) return 1
  return values.run(`UPDATE ONLY ${table.qualified} SET ${sets.join(', ')} WHERE ${match}`)
}

async function remove(session: Session, table: FollowedTable, old: Tuple): Promise<number> {
  const values = new CellValues(session, table)
  return values.run(`DELETE FROM ONLY ${table.qualified} WHERE ${await values.match(old)}`)
}

async function renumber(session: Session, table: FollowedTable, row: Tuple, columns: number[]): Promise<void> {
  const arrays = columns.map((i) => {
    const start = startOf(table, row, i)
    const array = new TextArray()
    array.append(row.data, start + 5, cellEnd(row.data, start))
    return array.finish()
  })
  await session.query({ ...renumberRows(table, columns), values: arrays })
}

/** The cells of one statement: its parameters, and what the target puts together for it. */
class CellValues {
  readonly #session: Session
  readonly #table: FollowedTable
  readonly #parameters: (string | null)[] = []
  #places = 0

  constructor(session: Session, table: FollowedTable) {
    this.#session = session
    this.#table = table
  }

  async run(statement: string): Promise<number> {
    return (await this.#session.query(statement, this.#parameters)).rowCount ?? 0
  }

  /** The one row that is meant: by its key, or as a whole where the table has none. */
  async match(old: Tuple): Promise<string> {
    const columns = this.#table.key.length > 0 ? this.#table.key : writtenColumns(this.#table)
    const texts: (string | null)[] = []
    for (const i of columns) texts.push(await this.#text(old, i))
    return thatRow(this.#table, columns, texts)
  }

  /** What stands for the cell in a statement; a value that was set aside is on the target when it returns. */
  async expression(row: Tuple, i: number): Promise<string> {
    const start = startOf(this.#table, row, i)
    const type = this.#table.columns[i]?.type ?? 'text'
    if (row.data[start] === cell.spilled && this.#table.columns[i]?.typeOid === byteaOid) {
      return this.#together(await this.#send(row, start, fromHex))
    }
    return `(${(await this.#text(row, i)) ?? 'NULL'})::${type}`
  }

  /** The cell's text as an expression; null for null. */
  async #text(row: Tuple, i: number): Promise<string | null> {
    const start = startOf(this.#table, row, i)
    if (row.data[start] === cell.null) return null
    if (row.data[start] === cell.spilled) {
      return `pg_catalog.convert_from(${this.#together(await this.#send(row, start, (piece) => piece))}, 'UTF8')`
    }
    this.#parameters.push(row.data.toString('utf8', start + 5, cellEnd(row.data, start)))
    return `$${this.#parameters.length}::text`
  }

  #together(place: number): string {
    return `(SELECT pg_catalog.string_agg(p.piece, ''::bytea ORDER BY p.n) FROM pg_temp.replatform_piece p WHERE p.place = ${place})`
  }

  async #send({ data, spilled }: Tuple, start: number, encode: (piece: Buffer, n: number) => Buffer): Promise<number> {
    const place = ++this.#places
    let n = 0
    for (const piece of spilled?.read(data, start + 5) ?? []) {
      await this.#session.query('INSERT INTO pg_temp.replatform_piece VALUES ($1, $2, $3)', [
        place,
        n,
        encode(piece, n),
      ])
      n += 1
    }
    return place
  }
}

const byteaOid = 17

/** As the server writes a bytea, which begins with `\x`: half as much to send, and nothing for the target to decode. */
function fromHex(piece: Buffer, n: number): Buffer {
  return Buffer.from(piece.toString('latin1', n === 0 ? 2 : 0), 'hex')
}

function startOf(table: FollowedTable, row: Tuple, i: number): number {
  return cellStarts(row, table.columns.length)[i] as number
}

function nameOf(table: FollowedTable, i: number): string {
  return ident(table.columns[i]?.name ?? '')
}
