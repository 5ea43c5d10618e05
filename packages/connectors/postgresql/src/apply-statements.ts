/**
 * The statements that write changes. Values go as text[] columns and are cast to the column's type on the target, so
 * one statement carries thousands of rows and no value is ever interpreted on the way.
 */
import type { FollowedTable } from './followed-table.ts'
import { ident } from './sql.ts'

export interface Statement {
  /** Of the prepared statement; one without is not kept. */
  readonly name?: string
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

const written = new WeakMap<FollowedTable, readonly number[]>()

/** Those that the target has. The same array for the same table. */
export function writtenColumns(table: FollowedTable): readonly number[] {
  const known = written.get(table)
  if (known) return known
  const columns = table.columns.flatMap((column, i) => (column.isAbsent ? [] : [i]))
  written.set(table, columns)
  return columns
}

/** Parameters: one text[] for each of `writtenColumns`, in order. */
export function insertRows(table: FollowedTable): Statement {
  return cached(table, 'insert', () => {
    const all = writtenColumns(table)
    if (all.length === 0) return `INSERT INTO ${table.qualified} DEFAULT VALUES`
    const names = all.map((i) => name(table, i)).join(', ')
    const values = all.map((i) => `u.c${i}::${type(table, i)}`).join(', ')
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

/**
 * For rows that were updated otherwise and whose GENERATED ALWAYS identity was given another value, which no UPDATE can
 * do: they are taken out and put in again. Parameters as of `updateRows`; touches none where nothing differs.
 */
export function renumberRows(table: FollowedTable, columns: readonly number[]): Statement {
  return cached(table, `renumber ${columns.join()}`, () => {
    const identities = renumbered(table, columns)
    const all = writtenColumns(table)
    const names = all.map((i) => name(table, i)).join(', ')
    const values = all.map((i) => (identities.includes(i) ? `new_${i}` : name(table, i)))
    const differs = identities.map((i) => `t.${name(table, i)} <> u.c${i}::${type(table, i)}`)
    return `WITH old AS (DELETE FROM ONLY ${table.qualified} t USING ${unnest(columns)}
        WHERE ${sameKey(table)} AND (${differs.join(' OR ')})
        RETURNING t.*, ${identities.map((i) => `u.c${i}::${type(table, i)} AS new_${i}`).join(', ')})
      INSERT INTO ${table.qualified} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values.join(', ')} FROM old`
  })
}

/** Those of `columns` that hold an identity beside the key that is always generated. */
export function renumbered(table: FollowedTable, columns: readonly number[]): number[] {
  return columns.filter((i) => table.columns[i]?.isIdentityAlways && !table.key.includes(i))
}

/** Cells that name one row: those of its key, or all of a table without one. */
export interface RowMatch {
  readonly columns: readonly number[]
  /** As the server writes them; null for null. */
  readonly texts: readonly (string | null)[]
}

/** Parameters: the match's texts, then the cells to set. Touches one row. */
export function updateOne(table: FollowedTable, match: RowMatch, set: readonly number[]): Statement {
  return oneAtATime(table, `update-one ${match.columns.join()} ${set.join()}`, () => {
    const values = set.map((i, n) => `${name(table, i)} = $${match.columns.length + n + 1}::text::${type(table, i)}`)
    return `UPDATE ONLY ${table.qualified} SET ${values.join(', ')} WHERE ${oneRow(table, match)}`
  })
}

/** Parameters: the match's texts. */
export function deleteOne(table: FollowedTable, match: RowMatch): Statement {
  return oneAtATime(
    table,
    `delete-one ${match.columns.join()}`,
    () => `DELETE FROM ONLY ${table.qualified} WHERE ${oneRow(table, match)}`,
  )
}

/** Without a key the text depends on which cells are null, so it is not kept: there may be very many. */
function oneAtATime(table: FollowedTable, kind: string, build: () => string): Statement {
  return table.key.length > 0 ? cached(table, kind, build) : { text: build() }
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

function oneRow(table: FollowedTable, { columns, texts }: RowMatch): string {
  const places = texts.map((text, n) => (text === null ? null : `$${n + 1}::text`))
  // Every parameter must be spoken of.
  const nulls = texts.flatMap((text, n) => (text === null ? [` AND $${n + 1}::text IS NULL`] : []))
  return `${thatRow(table, columns, places)}${nulls.join('')}`
}

/** The condition for one row whose `columns` are as the texts that the expressions make; null for null. */
export function thatRow(table: FollowedTable, columns: readonly number[], texts: readonly (string | null)[]): string {
  const isKeyed = table.key.length > 0
  const same = columns.map((i, n) => {
    const text = texts[n] ?? null
    if (text === null) return `${name(table, i)} IS NOT DISTINCT FROM NULL`
    return isKeyed ? equals(table, i, text) : sameText(table, i, text)
  })
  return `ctid = (SELECT ctid FROM ONLY ${table.qualified} WHERE ${same.join(' AND ') || 'true'} LIMIT 1)`
}

/**
 * By what the server writes for the value, since `json` and its like have no equality and others call different values
 * equal. `format` calls the type's output function as the change stream does; a cast to text writes some types
 * otherwise. Where there is an equality it goes first: it is cheaper, and an index may answer it.
 */
function sameText(table: FollowedTable, i: number, text: string): string {
  const same = `format('%s', ${name(table, i)}) COLLATE "C" = ${text} COLLATE "C"`
  const hasEquality = withEquality.has(table.columns[i]?.typeOid ?? 0)
  // `format` makes an empty text of a null.
  return `${hasEquality ? equals(table, i, text) : `${name(table, i)} IS DISTINCT FROM NULL`} AND ${same}`
}

function equals(table: FollowedTable, i: number, text: string): string {
  return `${name(table, i)} = ${text}::${type(table, i)}`
}

/** Built-in types, by object id, whose equality holds at least wherever their texts are the same. */
const withEquality = new Set([16, 20, 21, 23, 25, 26, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950])

/** In a select list the arrays are walked side by side; in FROM each would be stored as rows first. */
function unnest(columns: readonly number[]): string {
  const cells = columns.map((i, n) => `unnest($${n + 1}::text[]) AS c${i}`)
  return `(SELECT ${cells.join(', ')}) AS u`
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
