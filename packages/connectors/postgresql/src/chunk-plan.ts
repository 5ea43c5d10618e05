import type { Table } from './catalog.ts'

/** A range of blocks of one table: `[firstBlock, endBlock)`. */
export interface BlockRange {
  readonly id: string
  readonly table: Table
  readonly firstBlock: number
  readonly endBlock: number
  /** Estimated, with TOAST. */
  readonly bytes: number
}

/** Large enough that the start of a chunk costs nothing, small enough that losing one costs little. */
const chunkBytes = 64 * 1024 * 1024

/**
 * Splits tables into ranges of about equal size, TOAST counted: a table of few blocks and much TOAST would otherwise be
 * one serial job. Blocks are counted after the snapshot was taken, so no row that it sees lies beyond the last one.
 * The largest tables come first, so that none of them is left alone at the end.
 */
export function planChunks(tables: readonly Table[], workers: number): BlockRange[] {
  const total = tables.reduce((sum, table) => sum + table.bytes, 0)
  const size = Math.max(Math.min(chunkBytes, Math.ceil(total / (workers * 4))), 4 * 1024 * 1024)
  return tables.flatMap((table) => splitTable(table, size)).sort((a, b) => b.table.bytes - a.table.bytes)
}

function splitTable(table: Table, size: number): BlockRange[] {
  if (table.blocks === 0) return []
  const pieces = Math.min(Math.max(Math.round(table.bytes / size), 1), table.blocks)
  return Array.from({ length: pieces }, (_, i) => {
    const firstBlock = Math.floor((table.blocks * i) / pieces)
    const endBlock = Math.floor((table.blocks * (i + 1)) / pieces)
    return {
      id: `${table.label}/${firstBlock}`,
      table,
      firstBlock,
      endBlock,
      bytes: Math.round(table.bytes / pieces),
    }
  })
}
