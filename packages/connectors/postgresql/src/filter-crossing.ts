/** What reaches over the edge of a table filter: what cannot cross with the tables that move, and what would stay behind. */
import { ReplatformError } from '@replatform/core/errors'
import type { TableFilter } from '@replatform/core/estate'
import { notOfExtension, notOurs } from './catalog.ts'
import type { Session } from './session.ts'
import { literal } from './sql.ts'
import { anyOf, passesFilter } from './table-filter.ts'

const relations = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`

/** Relations that stay. */
const fromStaying = `FROM ${relations}
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND ${notOurs} AND NOT ${passesFilter}`
const staying = `SELECT c.oid ${fromStaying}`

/**
 * `dependent(classid, objid)`: everything that stays, and whatever the server would not let exist without it. A rule
 * stands for its view.
 */
const dependents = `WITH RECURSIVE staying AS (${staying}),
dependent(classid, objid) AS (
  SELECT 'pg_class'::regclass::oid, oid FROM staying
  UNION
  SELECT x.classid, x.objid FROM dependent d CROSS JOIN LATERAL (
    SELECT p.classid, p.objid FROM pg_depend p WHERE p.refclassid = d.classid AND p.refobjid = d.objid AND p.classid <> 0
    UNION ALL
    SELECT 'pg_class'::regclass::oid, w.ev_class FROM pg_rewrite w JOIN pg_class v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
      WHERE d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid) x)`

/** Tables that would have to cross without what they, or their defaults, are made from. */
export const splitTables = `${dependents}
SELECT n.nspname || '.' || c.relname AS item FROM ${relations}
WHERE c.relkind IN ('r', 'p') AND ${notOurs} AND ${passesFilter} AND EXISTS (SELECT FROM dependent d
  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
    OR d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT a.oid FROM pg_attrdef a WHERE a.adrelid = c.oid))
ORDER BY 1`

/** Foreign keys with one end on either side of the edge. */
export const crossingForeignKeys = `WITH staying AS (${staying})
SELECT format('%s of %s refers to %s', k.conname, k.conrelid::regclass, k.confrelid::regclass) AS item FROM pg_constraint k
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid IN (SELECT oid FROM staying) <> (k.confrelid IN (SELECT oid FROM staying))
ORDER BY 1`

/** Views, functions and policies of the moving part that need something that stays. */
export const leftBehind = `${dependents}
SELECT pg_describe_object(d.classid, d.objid, 0) AS item FROM dependent d
WHERE d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM ${relations} WHERE c.oid = d.objid AND c.relkind IN ('v', 'm') AND ${passesFilter})
  OR d.classid = 'pg_proc'::regclass
  OR d.classid = 'pg_policy'::regclass AND NOT EXISTS (SELECT FROM pg_policy y JOIN staying s ON s.oid = y.polrelid WHERE y.oid = d.objid)
ORDER BY 1`

/** By the text of their functions, which is all there is to go by. */
export const crossingTriggers = `WITH staying AS (${staying}), tabled AS (
  SELECT c.oid, c.relname, c.oid IN (SELECT oid FROM staying) AS stays FROM ${relations}
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${notOurs} AND ${notOfExtension})
SELECT format('%s on %s, which %s, names %s', t.tgname, t.tgrelid::regclass, CASE WHEN own.stays THEN 'stays' ELSE 'moves' END,
    string_agg(other.oid::regclass::text, ', ' ORDER BY other.oid)) AS item
FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN tabled own ON own.oid = t.tgrelid
  JOIN tabled other ON other.stays <> own.stays
    AND f.prosrc ~ ('\\m' || regexp_replace(other.relname, '([^[:alnum:]_])', '\\\\\\1', 'g') || '\\M')
WHERE NOT t.tgisinternal AND t.tgname <> 'replatform_fence' GROUP BY t.tgname, t.tgrelid, own.stays ORDER BY 1`

export interface LeftOut {
  /** Tables, views and sequences by their quoted name: pg_dump leaves out what belongs to them as well. */
  readonly relations: readonly string[]
  /** Entries of its list by catalogue and object id: foreign keys, functions, policies. */
  readonly entries: ReadonlySet<string>
  /** Functions of that, as their grants and comments name them. */
  readonly functions: readonly string[]
}

/** What the schema's transfer is to leave out. */
export async function readLeftOut(source: Session): Promise<LeftOut> {
  const read = async (sql: string) =>
    ((await source.query(`${dependents} ${sql}`)).rows as { name: string }[]).map(({ name }) => name)
  return {
    relations:
      await read(`SELECT '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' AS name
      FROM ${relations} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND c.oid IN (SELECT objid FROM dependent WHERE classid = 'pg_class'::regclass)`),
    entries: new Set(await read(`SELECT classid || ' ' || objid AS name FROM dependent`)),
    functions: await read(`SELECT format('%s FUNCTION %s(%s)', n.nspname, f.proname,
        array_to_string(ARRAY(SELECT format_type(t, NULL) FROM unnest(f.proargtypes) WITH ORDINALITY a(t, place) ORDER BY place), ', ')) AS name
      FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
      WHERE f.oid IN (SELECT objid FROM dependent WHERE classid = 'pg_proc'::regclass)`),
  }
}

/** Labels of tables that hold rows of their own and stay. */
export async function readStayingTables(source: Session): Promise<string[]> {
  const { rows } = await source.query(
    `SELECT n.nspname || '.' || c.relname AS label ${fromStaying} AND c.relkind = 'r' AND ${notOfExtension} ORDER BY 1`,
  )
  return (rows as { label: string }[]).map(({ label }) => label)
}

/** Patterns that fit no table, and whether any table is left to move. */
export async function readIdlePatterns(source: Session, filter: TableFilter): Promise<string[]> {
  const patterns = [...(filter.include ?? []), ...(filter.exclude ?? [])]
  const labels = `SELECT n.nspname || '.' || c.relname AS label FROM ${relations}
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${notOurs} AND ${notOfExtension}`
  const idle: string[] = []
  for (const pattern of patterns) {
    const { rowCount } = await source.query(
      `SELECT FROM (${labels}) t WHERE label ~ ${literal(anyOf([pattern]))} LIMIT 1`,
    )
    if (rowCount === 0) idle.push(pattern)
  }
  if (idle.length > 0) return idle
  const { rowCount } = await source.query(`${labels} AND c.relkind = 'r' AND ${passesFilter} LIMIT 1`)
  return rowCount === 0 ? ['all patterns together'] : []
}

/** Throws `postgresql.filter-matches-nothing` or `postgresql.filter-splits`. */
export async function requireSoundFilter(source: Session, filter: TableFilter | undefined): Promise<void> {
  if (!filter) return
  const idle = await readIdlePatterns(source, filter)
  if (idle.length > 0) {
    throw new ReplatformError('postgresql.filter-matches-nothing', {
      message: `No table of the source fits ${idle.join(', ')}.`,
    })
  }
  const split = await source.query(splitTables)
  if (split.rows.length === 0) return
  throw new ReplatformError('postgresql.filter-splits', {
    message: `These move, and what they are made from stays: ${(split.rows as { item: string }[]).map(({ item }) => item).join(', ')}.`,
  })
}
