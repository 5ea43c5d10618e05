import type { Session } from './session.ts'
import { qualified } from './sql.ts'
import { passesFilter } from './table-filter.ts'

export interface Column {
  readonly name: string
  /** As `format_type` writes it, modifiers included: `numeric(12,2)`, `public.mood[]`. */
  readonly type: string
  readonly typeOid: number
  /** GENERATED ALWAYS AS (…) STORED: computed on each side, never copied. */
  readonly isGenerated: boolean
  /** GENERATED ALWAYS AS IDENTITY: may be inserted, but never set by an UPDATE. */
  readonly isIdentityAlways: boolean
  /** On the source alone; its values are left out. */
  readonly isAbsent?: true
  /** Holds something whose binary form carries object ids of its own cluster, or has none: copied as text. */
  readonly needsText: boolean
}

/** An ordinary table or a leaf partition: what holds rows of its own. */
export interface Table {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** Quoted, for SQL. */
  readonly qualified: string
  /** Unquoted, for people and for matching both sides: `public.accounts`. */
  readonly label: string
  readonly columns: readonly Column[]
  /** Columns of the replica identity's index: the primary key by default. Empty without one. */
  readonly key: readonly string[]
  readonly identity: 'default' | 'index' | 'full' | 'nothing'
  /** The key's constraint is DEFERRABLE: the server identifies no row by it. */
  readonly isKeyDeferrable: boolean
  /** Unique indexes and exclusion constraints besides the key's. */
  readonly otherUniques: number
  readonly isUnlogged: boolean
  /** Blocks of the main fork as of now. */
  readonly blocks: number
  /** Everything with TOAST, without indexes. */
  readonly bytes: number
  /** The planner's estimate; 0 where it was never analysed. */
  readonly rows: number
}

/** Not in schemas that belong to the server or to us. */
export const notOurs = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'replatform')
  AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'`

/** For us to move: of the session's tables, see `table-filter.ts`. */
export const isCarried = `${notOurs} AND ${passesFilter}`

/** Not members of extensions: those are made by CREATE EXTENSION. */
export const notOfExtension = `NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

const tablesSql = `
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relreplident AS identity, c.relpersistence = 'u' AS unlogged,
  pg_relation_size(c.oid) / current_setting('block_size')::int AS blocks, pg_table_size(c.oid) AS bytes,
  greatest(c.reltuples, 0)::bigint AS rows,
  (SELECT json_agg(a.attname ORDER BY k.ord) FROM pg_index i
     CROSS JOIN LATERAL unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, ord)
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
     WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END) AS key,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND NOT i.indimmediate
     AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END) AS key_deferrable,
  (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)
     AND NOT CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END) AS other_uniques,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
       'typeOid', a.atttypid::int8, 'generated', a.attgenerated <> '', 'always', a.attidentity = 'a', 'needsText', ${needsText('a.atttypid')}) ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u') AND ${isCarried} AND ${notOfExtension}
ORDER BY 2, 3`

/**
 * True for types that COPY BINARY cannot carry between clusters: those without a send function, and arrays,
 * composites and ranges that contain a type made by a user, because their binary form names it by object id. Likewise
 * the types that are object ids with a name (regclass and its kin), given here by their own.
 */
function needsText(type: string): string {
  return `EXISTS (
    WITH RECURSIVE part(oid, depth) AS (
      SELECT ${type}::oid, 0
      UNION
      SELECT inner_oid, depth + 1 FROM part JOIN pg_type t ON t.oid = part.oid
        CROSS JOIN LATERAL (
          SELECT t.typelem AS inner_oid WHERE t.typelem <> 0
          UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0
          UNION ALL SELECT rngsubtype FROM pg_range WHERE rngtypid = t.oid
          UNION ALL SELECT x.atttypid FROM pg_attribute x WHERE x.attrelid = t.typrelid AND t.typrelid <> 0 AND x.attnum > 0
        ) inside WHERE depth < 8)
    SELECT FROM part JOIN pg_type t ON t.oid = part.oid
    WHERE t.typsend = 0 OR (part.depth > 0 AND t.oid >= 16384) OR (t.typtype = 'c')
      OR t.oid IN (24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191))`
}

interface TableRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly identity: string
  readonly unlogged: string
  readonly blocks: string
  readonly bytes: string
  readonly rows: string
  readonly key: string | null
  readonly key_deferrable: string
  readonly other_uniques: string
  readonly columns: string | null
}

interface ColumnRow extends Pick<Column, 'name' | 'type' | 'typeOid' | 'needsText'> {
  readonly generated: boolean
  readonly always: boolean
}

const identities = { d: 'default', i: 'index', f: 'full', n: 'nothing' } as const

/** All tables that a move carries, in the order of their names. */
export async function readTables(session: Session): Promise<Table[]> {
  const { rows } = await session.query<TableRow>(tablesSql)
  return rows.map((row) => ({
    oid: Number(row.oid),
    schema: row.schema,
    name: row.name,
    qualified: qualified(row.schema, row.name),
    label: `${row.schema}.${row.name}`,
    columns: (JSON.parse(row.columns ?? '[]') as ColumnRow[]).map(({ generated, always, ...column }) => ({
      ...column,
      isGenerated: generated,
      isIdentityAlways: always,
    })),
    key: row.identity === 'n' ? [] : (JSON.parse(row.key ?? '[]') as string[]),
    identity: identities[row.identity as keyof typeof identities],
    isKeyDeferrable: row.key_deferrable === 't',
    otherUniques: Number(row.other_uniques),
    isUnlogged: row.unlogged === 't',
    blocks: Number(row.blocks),
    bytes: Number(row.bytes),
    rows: Number(row.rows),
  }))
}

/** The columns that are copied; generated ones are computed on the target. */
export function copiedColumns(table: Table): readonly Column[] {
  return table.columns.filter((column) => !column.isGenerated)
}
