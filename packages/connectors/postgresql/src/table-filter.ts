/**
 * Which tables a move carries. The patterns stand in settings of every session of the move, so that whatever asks a
 * catalogue for tables (load, publication, comparison, fence, grants) gets the same answer on either side.
 */
import type { TableFilter } from '@replatform/core/estate'
import { literal } from './sql.ts'

const included = 'replatform.tables_in'
const excluded = 'replatform.tables_out'

/** For the start of a session; nothing where everything moves. */
export function filterSettings(filter: TableFilter | undefined): Record<string, string> {
  if (!filter) return {}
  // A label always has a dot, so the empty one is never met.
  return { [included]: anyOf(filter.include ?? ['*']), [excluded]: filter.exclude ? anyOf(filter.exclude) : '^$' }
}

/** The same for a function that runs in other people's sessions: clauses of CREATE FUNCTION. */
export function filterClauses(filter: TableFilter | undefined): string {
  return Object.entries(filterSettings(filter))
    .map(([name, value]) => `SET ${name} = ${literal(value)}`)
    .join(' ')
}

/** A regular expression of the server for labels (`schema.table`). */
export function anyOf(patterns: readonly string[]): string {
  const quoted = patterns.map((pattern) => pattern.replace(/[\\^$.[\]|()+?{}]/g, '\\$&').replaceAll('*', '.*'))
  return `^(${quoted.join('|')})$`
}

/** Whether the session has a filter. */
export const hasFilter = `coalesce(current_setting('${included}', true), '') <> ''`

/**
 * True of a relation `c` in the schema `n` when it, or what it is a partition or a child of, is included, and none of
 * these is excluded. A sequence goes with the table that owns it; one of its own also with those that take from it.
 */
export const passesFilter = `(NOT ${hasFilter} OR EXISTS (
  WITH RECURSIVE owner(oid) AS (
    SELECT d.refobjid FROM pg_catalog.pg_depend d WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::regclass
      AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')),
  kin(root, oid) AS (
    SELECT f.oid, f.oid FROM (
      SELECT oid FROM owner
      UNION SELECT c.oid WHERE NOT EXISTS (SELECT FROM owner)
      UNION SELECT a.adrelid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid
        WHERE c.relkind = 'S' AND NOT EXISTS (SELECT FROM owner) AND d.classid = 'pg_catalog.pg_attrdef'::regclass
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid) f
    UNION SELECT k.root, i.inhparent FROM kin k JOIN pg_catalog.pg_inherits i ON i.inhrelid = k.oid)
  SELECT FROM kin k JOIN pg_catalog.pg_class r ON r.oid = k.oid JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace
  GROUP BY k.root HAVING bool_or(s.nspname || '.' || r.relname ~ current_setting('${included}', true))
    AND NOT bool_or(s.nspname || '.' || r.relname ~ current_setting('${excluded}', true))))`
