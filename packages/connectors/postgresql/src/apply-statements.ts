/**
 * The statements that write changes. Values go as text[] columns and are cast to the column's type on the target, so
 * one statement carries thousands of rows and no value is ever interpreted on the way.
 */
import type { FollowedTable } from './followed-table.ts'
import { ident } from './sql.ts'

export interface Statement {
  /** Of the prepared statement. */
  readonly name: string
  readonly text: string
}

const cache = new WeakMap<FollowedTable, Map<string, Statement>>()
let nextId = 1

function cached(table: FollowedTable, kind: string, build: () => string): Statement {
  let statements = cache.get(table)
  if (!statements) {
    statements = new Map()
    cache.set(table, statements)
  }
  let statement = statements.get(kind)
  if (!statement) {
    statement = { name: `replatform_${nextId++}`, text: build() }
    statements.set(kind, statement)
  }
  return statement
}

/** Parameters: one text[] a column, in order. */
export function insertRows(table: FollowedTable): Statement {
  return cached(table, 'insert', () => {
    const names = table.columns.map((column) => ident(column.name)).join(', ')
    const values = table.columns.map((column, i) => `u.c${i}::${column.type}`).join(', ')
    const all = table.columns.map((_, i) => i)
    return `INSERT INTO ${table.qualified} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${unnest(all)}`
  })
}

/** Parameters: one text[] a key column. */
export function deleteRows(table: FollowedTable): Statement {
  return cached(
    table,
    'delete',
    () => `DELETE FROM ONLY ${table.qualified} t USING ${unnest(table.key)} WHERE ${sameKey(table)}`,
  )
}

/** Parameters: one text[] for each of `columns`, which hold the key and what is set. */
export function updateRows(table: FollowedTable, columns: readonly number[]): Statement {
  return cached(table, `update ${columns.join()}`, () => {
    const set = columns.filter((i) => isSettable(table, i)).map((i) => `${name(table, i)} = u.c${i}::${type(table, i)}`)
    return `UPDATE ONLY ${table.qualified} t SET ${set.join(', ')} FROM ${unnest(columns)} WHERE ${sameKey(table)}`
  })
}

/** Parameters: the old row's cells to match (by text, nulls included), then the cells to set. Touches one row. */
export function updateOne(table: FollowedTable, match: readonly number[], set: readonly number[]): Statement {
  return cached(table, `update-one ${match.join()} ${set.join()}`, () => {
    const values = set.map((i, n) => `${name(table, i)} = $${match.length + n + 1}::text::${type(table, i)}`)
    return `UPDATE ONLY ${table.qualified} SET ${values.join(', ')} WHERE ${oneRow(table, match)}`
  })
}

export function deleteOne(table: FollowedTable, match: readonly number[]): Statement {
  return cached(
    table,
    `delete-one ${match.join()}`,
    () => `DELETE FROM ONLY ${table.qualified} WHERE ${oneRow(table, match)}`,
  )
}

/** Records the keys that a batch wrote, for the next comparison. Parameters: move, direction, position, then the key. */
export function trackKeys(table: FollowedTable): Statement {
  return cached(table, 'track', () => {
    const parameters = table.key.map((_, n) => `$${n + 5}::text[]`).join(', ')
    const names = table.key.map((i) => `c${i}`).join(', ')
    return `INSERT INTO replatform.changed (move, direction, relation, key, position)
      SELECT $1, $2, $3, ARRAY[${names}], $4::pg_lsn FROM unnest(${parameters}) AS u(${names})
      ON CONFLICT (move, direction, relation, key) DO UPDATE SET position = excluded.position`
  })
}

/** The key never changes here, and an identity that is always generated cannot be set. */
export function isSettable(table: FollowedTable, index: number): boolean {
  return !table.key.includes(index) && !table.columns[index]?.isIdentityAlways
}

function oneRow(table: FollowedTable, match: readonly number[]): string {
  const isKeyed = table.key.length > 0
  const same = match.map((i, n) =>
    isKeyed
      ? `${name(table, i)} = $${n + 1}::text::${type(table, i)}`
      : `${name(table, i)}::text COLLATE "C" IS NOT DISTINCT FROM $${n + 1}::text`,
  )
  return `ctid = (SELECT ctid FROM ONLY ${table.qualified} WHERE ${same.join(' AND ')} LIMIT 1)`
}

function unnest(columns: readonly number[]): string {
  const parameters = columns.map((_, n) => `$${n + 1}::text[]`).join(', ')
  return `unnest(${parameters}) AS u(${columns.map((i) => `c${i}`).join(', ')})`
}

function sameKey(table: FollowedTable): string {
  return table.key.map((i) => `t.${name(table, i)} = u.c${i}::${type(table, i)}`).join(' AND ')
}

function name(table: FollowedTable, index: number): string {
  return ident(table.columns[index]?.name ?? '')
}

function type(table: FollowedTable, index: number): string {
  return table.columns[index]?.type ?? 'text'
}
