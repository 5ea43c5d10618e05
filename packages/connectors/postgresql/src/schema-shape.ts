/**
 * The shape of the tables on both sides. The change stream says nothing of a table that was created, renamed or dropped
 * after it was opened, so it is looked at before anybody relies on the target.
 */
import { ReplatformError } from '@replatform/core/errors'
import { notOfExtension, notOurs } from './catalog.ts'
import type { Session } from './session.ts'

const shapeSql = `
  SELECT n.nspname || '.' || c.relname AS label,
    coalesce(string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attname), '') AS shape
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S'
  WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence = 'p' AND ${notOurs} AND ${notOfExtension}
  GROUP BY 1 ORDER BY 1`

/** Throws `postgresql.schema-changed` naming the first table or sequence that is not the same on both sides. */
export async function requireSameShape(source: Session, target: Session): Promise<void> {
  const [ours, theirs] = [await readShape(source), await readShape(target)]
  for (const [label, shape] of ours) {
    const other = theirs.get(label)
    if (other === undefined) throw changed(`${label} is on the source and not on the target`)
    if (other !== shape) throw changed(`${label} has other columns on the source than on the target`)
  }
  for (const label of theirs.keys()) {
    if (!ours.has(label)) throw changed(`${label} is on the target and not on the source`)
  }
}

async function readShape(session: Session): Promise<Map<string, string>> {
  const { rows } = await session.query(shapeSql)
  return new Map((rows as { label: string; shape: string }[]).map((row) => [row.label, row.shape]))
}

function changed(what: string): ReplatformError {
  return new ReplatformError('postgresql.schema-changed', {
    message: `The schema changed since the move began: ${what}.`,
  })
}
