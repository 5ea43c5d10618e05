/**
 * The shape of the tables on both sides. The change stream says nothing of a table that was created, renamed or dropped
 * after it was opened, so it is looked at before anybody relies on the target.
 */
import { ReplatformError } from '@replatform/core/errors'
import { isCarried, notOfExtension } from './catalog.ts'
import type { Session } from './session.ts'

const shapeSql = `
  SELECT n.nspname || '.' || c.relname AS label,
    coalesce(string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attname), '') AS shape
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S'
  WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence = 'p' AND ${isCarried} AND ${notOfExtension}
  GROUP BY 1 ORDER BY 1`

const unpublishedSql = `
  SELECT n.nspname || '.' || c.relname AS label FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND ${isCarried} AND ${notOfExtension}
    AND NOT EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
      WHERE r.prrelid = c.oid AND p.pubname = $1)
  ORDER BY 1 LIMIT 1`

/**
 * Object id and file of every table by label. A rewrite (ALTER TYPE … USING, CLUSTER) gives a table another file and
 * leaves nothing in the change stream.
 */
export async function readTableFiles(source: Session): Promise<Record<string, string>> {
  const { rows } = await source.query(
    `SELECT n.nspname || '.' || c.relname AS label, c.oid || '/' || pg_relation_filenode(c.oid) AS file
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND ${isCarried} AND ${notOfExtension}`,
  )
  return Object.fromEntries((rows as { label: string; file: string }[]).map(({ label, file }) => [label, file]))
}

/**
 * Throws `postgresql.schema-changed` naming the first table or sequence that is not the same on both sides, or the first
 * table that the change stream does not carry: one that was made again under its old name looks the same and is not.
 */
export async function requireSameShape(source: Session, target: Session, publication: string): Promise<void> {
  const { rows } = await source.query(unpublishedSql, [publication])
  const unpublished = (rows as { label: string }[])[0]
  if (unpublished) throw changed(`${unpublished.label} was made after the move began`)
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
