import { ReplatformError } from '@replatform/core/errors'
import type { Column, Table } from './catalog.ts'
import type { Lsn } from './lsn.ts'
import type { Relation } from './pgoutput.ts'

/** A table of the change stream together with what is needed to write its changes on the target. */
export interface FollowedTable {
  readonly label: string
  readonly qualified: string
  /** Columns in the order of the stream's tuples, typed as on the target. */
  readonly columns: readonly Column[]
  /** Places of the key among the columns; empty for a table without one, whose rows are matched as a whole. */
  readonly key: readonly number[]
  /** The old row comes whole with every change. */
  readonly isFull: boolean
  /** Unique indexes and exclusion constraints besides the key can be violated in passing when changes are applied out of their order. */
  readonly hasOtherUniques: boolean
  /** Commits that begin before it are in the snapshot that the table was loaded at. */
  readonly skipBefore: Lsn
}

export interface FollowTableOptions {
  /** Undefined where the target has none of that name. */
  readonly target: Table | undefined
  readonly skipBefore: Lsn
  /** Columns and tables that only one side has are left out instead. */
  readonly isLenient: boolean
}

/** Joins the stream's description of a table with the target's; throws where they no longer fit. */
export function followTable(relation: Relation, options: FollowTableOptions): FollowedTable | undefined {
  const { target, skipBefore, isLenient } = options
  const label = `${relation.schema}.${relation.name}`
  if (!target && isLenient) return undefined
  if (!target) throw changed(label, 'it does not exist on the target')
  const byName = new Map(target.columns.map((column) => [column.name, column]))
  const columns = relation.columns.map(({ name, typeOid }) => {
    const column = byName.get(name)
    if (!column && isLenient) return { ...absent, name, typeOid }
    if (!column) throw changed(label, `column ${name} does not exist on the target`)
    if (isBuiltIn(typeOid) && typeOid !== column.typeOid) throw changed(label, `column ${name} has another type`)
    return column
  })
  const streamed = new Set(relation.columns.map((column) => column.name))
  const gone = target.columns.find((column) => !column.isGenerated && !streamed.has(column.name))
  if (gone && !isLenient) throw changed(label, `column ${gone.name} is gone on the source`)
  return {
    label,
    qualified: target.qualified,
    columns,
    key: keyPlaces(target, columns),
    isFull: relation.isFull,
    hasOtherUniques: target.otherUniques > 0,
    skipBefore,
  }
}

const absent = { type: 'text', isGenerated: false, isIdentityAlways: false, needsText: false, isAbsent: true } as const

/**
 * None where the key identifies no row of the stream: its generated columns are not in it, and by a deferrable one two
 * rows may be called the same in the middle of a transaction. Then rows are matched as a whole.
 */
function keyPlaces(target: Table, columns: readonly Column[]): number[] {
  const places = target.key.map((name) => columns.findIndex((column) => column.name === name))
  return target.isKeyDeferrable || places.includes(-1) ? [] : places
}

/** Only these have the same object id on every server. */
function isBuiltIn(typeOid: number): boolean {
  return typeOid < 16_384
}

function changed(label: string, what: string): ReplatformError {
  return new ReplatformError('postgresql.schema-changed', { message: `Table ${label} changed its shape: ${what}.` })
}
