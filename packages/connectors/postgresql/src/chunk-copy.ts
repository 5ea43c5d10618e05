import { copiedColumns, type Table } from './catalog.ts'
import { ident } from './sql.ts'

export interface CopyStatements {
  readonly read: string
  readonly write: string
}

/** What a block can hold at most: (8192 − 24) ÷ 28 bytes, rounded up (MaxHeapTuplesPerPage for 8 kB blocks). */
const rowsPerBlockMost = 292

/**
 * The two COPY statements of a chunk. Servers from 14 on read a range of row addresses directly; older ones would scan
 * the whole table for it, so they get a list of every address that can exist in those blocks.
 */
export function copyStatements(
  table: Table,
  range: { readonly firstBlock: number; readonly endBlock: number },
  sourceMajor: number,
): CopyStatements {
  const columns = copiedColumns(table)
  const names = columns.map((column) => ident(column.name)).join(', ')
  const format = columns.some((column) => column.needsText) ? 'text' : 'binary'
  const { firstBlock, endBlock } = range
  const isWhole = firstBlock === 0 && endBlock >= table.blocks
  const where = isWhole ? '' : ` WHERE ${addresses(firstBlock, endBlock, sourceMajor)}`
  return {
    read: `COPY (SELECT ${names} FROM ONLY ${table.qualified}${where}) TO STDOUT (FORMAT ${format})`,
    // A table may have no column that can be written, and rows all the same.
    write: `COPY ${table.qualified}${names && ` (${names})`} FROM STDIN (FORMAT ${format})`,
  }
}

function addresses(first: number, end: number, sourceMajor: number): string {
  if (sourceMajor >= 14) return `ctid >= '(${first},0)'::tid AND ctid < '(${end},0)'::tid`
  return `ctid = ANY (ARRAY(SELECT ('(' || b || ',' || i || ')')::tid
    FROM generate_series(${first}::bigint, ${end - 1}) b, generate_series(1, ${rowsPerBlockMost}) i))`
}
