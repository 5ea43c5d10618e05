/**
 * Notes changes of definitions on the source of a flow, in the transaction that makes them, so that they travel in the
 * change stream at their place among the rows. Event triggers compare what they find with what they found before: the
 * catalogue tells exactly what became of a table, where the statement's text would have to be understood, and may hold
 * values. Each move has its own, for its own tables.
 */
import { createHash } from 'node:crypto'
import type { TableFilter } from '@replatform/core/estate'
import { streamName } from './names.ts'
import type { Session } from './session.ts'
import { ident, literal } from './sql.ts'
import { filterClauses, passesFilter } from './table-filter.ts'

/** `describe` is what `schema-description.ts` reads. Text of expressions is qualified, since the search path is fixed. */
const describeFunction = `
CREATE OR REPLACE FUNCTION replatform.describe(rel oid) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog AS $describe$
SELECT jsonb_build_object(
  'schema', n.nspname, 'name', c.relname, 'kind', c.relkind::text, 'persistence', c.relpersistence::text,
  'owner', pg_get_userbyid(c.relowner), 'acl', coalesce(c.relacl::text, ''),
  'grants', coalesce((SELECT jsonb_agg(format('%s TO %s%s', g.privilege_type,
      CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) ORDER BY 1)
    FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner), '[]'),
  'identity', c.relreplident::text,
  'identityIndex', (SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident),
  'partitionKey', pg_get_partkeydef(c.oid), 'bound', pg_get_expr(c.relpartbound, c.oid),
  'parents', coalesce((SELECT jsonb_agg(format('%I.%I', pn.nspname, p.relname) ORDER BY h.inhseqno)
    FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = c.oid), '[]'),
  'columns', coalesce((SELECT jsonb_agg(jsonb_build_object('num', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'notNull', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated <> '', 'identity', a.attidentity::text, 'isLocal', a.attislocal,
      'collation', (SELECT format('%I.%I', cn.nspname, k.collname) FROM pg_collation k JOIN pg_namespace cn ON cn.oid = k.collnamespace WHERE k.oid = a.attcollation AND k.oid <> t.typcollation),
      'missing', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END, 'hasMissing', a.atthasmissing) ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
  'constraints', coalesce((SELECT jsonb_agg(jsonb_build_object('name', k.conname, 'type', k.contype::text, 'def', pg_get_constraintdef(k.oid),
      'isLocal', k.conislocal AND k.conparentid = 0) ORDER BY k.contype = 'f', k.contype <> 'p', k.conname)
    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'c', 'f', 'x')), '[]'),
  'indexes', coalesce((SELECT jsonb_agg(jsonb_build_object('name', x.relname, 'def', pg_get_indexdef(x.oid)) ORDER BY x.relname)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indislive
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x')) AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = x.oid)), '[]'),
  'indexCount', (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid),
  'sequences', coalesce((SELECT jsonb_agg(jsonb_build_object('schema', sn.nspname, 'name', s.relname, 'column', a.attname, 'isIdentity', o.deptype = 'i',
      'options', format('AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s', format_type(q.seqtypid, NULL), q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache,
        CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)) ORDER BY a.attnum)
    FROM pg_depend o JOIN pg_class s ON s.oid = o.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
      JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
    WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid AND o.deptype IN ('a', 'i')), '[]'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = rel
$describe$`

const ours = `c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'replatform')
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')`

/**
 * Runs inside other people's statements, as the mover's role, and must never be the reason why one fails: what goes
 * wrong is noted as such. A new table joins the publications of the move at once, so that its first row is in the stream; one whose
 * rows have no identity does not, because the server would then refuse its updates. From 15 on two transactions that make
 * tables at once wait for each other there.
 */
const noteFunction = ({ move, filter }: Capture) => `
CREATE OR REPLACE FUNCTION ${functionOf(move)} RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s'
  ${filterClauses(filter)} AS $note$
DECLARE
  touched oid[];
  rel record;
  now_is jsonb;
  publication text;
  is_new bool;
  has_identity bool;
  noted int := 0;
  -- Made by a mover that carries a change over to here: nobody is to carry it back.
  is_carried bool := coalesce(current_setting('replatform.carrying', true), '') <> '';
BEGIN
  IF TG_TAG LIKE '% PUBLICATION' OR coalesce(current_setting('replatform.mover', true), '') <> '' AND NOT is_carried THEN RETURN; END IF;
  IF TG_EVENT = 'table_rewrite' THEN
    IF is_carried THEN RETURN; END IF;
    IF (SELECT c.relpersistence <> 't' FROM pg_class c WHERE c.oid = pg_event_trigger_table_rewrite_oid()) THEN
      INSERT INTO replatform.definition (move, tag, object, kind) VALUES (${literal(move)}, TG_TAG, pg_event_trigger_table_rewrite_oid()::regclass::text, 'rewritten');
    END IF;
    RETURN;
  END IF;
  IF TG_EVENT = 'sql_drop' THEN
    IF NOT EXISTS (SELECT FROM pg_event_trigger_dropped_objects() o WHERE NOT o.is_temporary) THEN RETURN; END IF;
    touched := ARRAY(SELECT s.relation FROM replatform.shape s WHERE s.move = ${literal(move)} AND (
      (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attnum > 0 AND NOT a.attisdropped) <> jsonb_array_length(s.description -> 'columns')
      OR (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = s.relation AND k.contype IN ('p', 'u', 'c', 'f', 'x')) <> jsonb_array_length(s.description -> 'constraints')
      OR (SELECT count(*) FROM pg_index i WHERE i.indrelid = s.relation) <> (s.description ->> 'indexCount')::int
      OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation)));
  ELSE
    touched := ARRAY(SELECT CASE WHEN d.classid = 'pg_class'::regclass AND i.indrelid IS NOT NULL THEN i.indrelid
        WHEN d.classid = 'pg_constraint'::regclass THEN (SELECT k.conrelid FROM pg_constraint k WHERE k.oid = d.objid) ELSE d.objid END
      FROM pg_event_trigger_ddl_commands() d LEFT JOIN pg_index i ON i.indexrelid = d.objid
      WHERE d.classid IN ('pg_class'::regclass, 'pg_constraint'::regclass) OR d.classid IS NULL);
    IF TG_TAG IN ('GRANT', 'REVOKE', 'REASSIGN OWNED') THEN
      touched := ARRAY(SELECT s.relation FROM replatform.shape s JOIN pg_class c ON c.oid = s.relation WHERE s.move = ${literal(move)} AND coalesce(c.relacl::text, '') <> s.description ->> 'acl');
    END IF;
  END IF;
  FOR rel IN
    WITH RECURSIVE kin(oid, depth) AS (
      (SELECT t, 0 FROM unnest(touched) t
        UNION SELECT s.relation, 1 FROM unnest(touched) t JOIN replatform.shape p ON p.move = ${literal(move)} AND p.relation = t
          JOIN replatform.shape s ON s.move = p.move AND s.description -> 'parents' ? format('%I.%I', p.description ->> 'schema', p.description ->> 'name'))
      UNION SELECT h.inhrelid, k.depth + 1 FROM kin k JOIN pg_inherits h ON h.inhparent = k.oid WHERE k.depth < 20)
    SELECT k.oid, min(k.depth) AS depth, (SELECT s.description FROM replatform.shape s WHERE s.move = ${literal(move)} AND s.relation = k.oid) AS was,
      EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.oid AND ${ours}
        -- One that moves stays ours under whatever name: it must not look dropped.
        AND (EXISTS (SELECT FROM replatform.shape s WHERE s.move = ${literal(move)} AND s.relation = c.oid) OR ${passesFilter})) AS is_ours
    FROM kin k GROUP BY k.oid ORDER BY 2, 1
  LOOP
    now_is := CASE WHEN rel.is_ours THEN replatform.describe(rel.oid) END;
    CONTINUE WHEN now_is IS NOT DISTINCT FROM rel.was;
    IF now_is IS NULL THEN DELETE FROM replatform.shape s WHERE s.move = ${literal(move)} AND s.relation = rel.oid;
    ELSE INSERT INTO replatform.shape AS s VALUES (${literal(move)}, rel.oid, now_is) ON CONFLICT (move, relation) DO UPDATE SET description = excluded.description;
    END IF;
    -- What a child took over from its parent comes over with the parent's statement.
    CONTINUE WHEN rel.depth > 0 AND rel.was IS NOT NULL AND now_is IS NOT NULL AND rel.was -> 'parents' = now_is -> 'parents' AND rel.was -> 'bound' = now_is -> 'bound';
    is_new := rel.was IS NULL AND now_is ->> 'kind' = 'r' AND now_is ->> 'persistence' = 'p';
    has_identity := now_is ->> 'identity' IN ('f', 'i')
      OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = rel.oid AND i.indisprimary AND i.indimmediate AND now_is ->> 'identity' = 'd');
    IF is_new AND has_identity THEN
      FOR publication IN SELECT pubname FROM pg_publication WHERE pubname IN (${publicationsOf(move)}) LOOP
        EXECUTE format('ALTER PUBLICATION %I ADD TABLE %s', publication, rel.oid::regclass);
      END LOOP;
    END IF;
    noted := noted + 1;
    CONTINUE WHEN is_carried;
    INSERT INTO replatform.definition (move, tag, object, kind, was, now_is)
      VALUES (${literal(move)}, TG_TAG, format('%I.%I', coalesce(now_is, rel.was) ->> 'schema', coalesce(now_is, rel.was) ->> 'name'), CASE WHEN is_new AND TG_TAG IN ('CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE') THEN 'filled' WHEN is_new AND NOT has_identity THEN 'keyless' ELSE 'table' END, rel.was, now_is);
    noted := noted + 1;
  END LOOP;
  IF is_carried THEN RETURN; END IF;
  IF noted = 0 AND TG_EVENT = 'ddl_command_end' THEN
    INSERT INTO replatform.definition (move, tag, object, kind)
      SELECT DISTINCT ${literal(move)}, d.command_tag, coalesce(d.object_identity, d.object_type), 'other' FROM pg_event_trigger_ddl_commands() d
      WHERE coalesce(d.schema_name, '') NOT LIKE 'pg\\_temp%' AND coalesce(d.schema_name, '') NOT IN ('replatform', 'pg_toast')
        AND d.command_tag NOT IN ('REFRESH MATERIALIZED VIEW', 'ANALYZE') AND (d.classid IS DISTINCT FROM 'pg_class'::regclass
          OR EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relpersistence <> 't' AND c.relkind IN ('v', 'm', 'f', 'S', 'c')));
  ELSIF noted = 0 THEN
    INSERT INTO replatform.definition (move, tag, object, kind)
      SELECT ${literal(move)}, TG_TAG, o.object_identity, 'other' FROM pg_event_trigger_dropped_objects() o
      WHERE o.original AND NOT o.is_temporary AND o.object_type NOT IN ('table', 'index', 'table column', 'table constraint', 'default value');
  END IF;
EXCEPTION WHEN OTHERS THEN
  BEGIN
    INSERT INTO replatform.definition (move, tag, object, kind) VALUES (${literal(move)}, TG_TAG, SQLSTATE, 'unknown');
  EXCEPTION WHEN OTHERS THEN RAISE WARNING 'Replatform could not note this %: %', TG_TAG, SQLSTATE;
  END;
END $note$`

const events = ['ddl_command_end', 'sql_drop', 'table_rewrite'] as const

/** Whose changes are noted, and of which tables. */
export interface Capture {
  readonly move: string
  readonly filter?: TableFilter | undefined
}

/**
 * Begins to note, from the commit on. Idempotent. False where the role may not create event triggers: then changes are
 * found when a row of the table arrives, and at the latest by the next comparison.
 */
export async function installCapture(source: Session, capture: Capture): Promise<boolean> {
  const { move } = capture
  // Always: a session that writes as replication does may change definitions too, the mover's own among them.
  const triggers = events
    .map(
      (event) => `CREATE EVENT TRIGGER ${triggerName(event, move)} ON ${event} EXECUTE FUNCTION ${functionOf(move)};
        ALTER EVENT TRIGGER ${triggerName(event, move)} ENABLE ALWAYS;`,
    )
    .join('\n')
  await source.query('BEGIN')
  try {
    await source.query(`${describeFunction}; ${noteFunction(capture)}; REVOKE ALL ON FUNCTION ${functionOf(move)}, replatform.describe(oid) FROM PUBLIC;
      ${dropTriggers(move)} ${triggers}
      INSERT INTO replatform.shape SELECT ${literal(move)}, c.oid, replatform.describe(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${ours} AND ${passesFilter}
        ON CONFLICT (move, relation) DO UPDATE SET description = excluded.description`)
    await source.query('COMMIT')
    return true
  } catch (thrown) {
    await source.query('ROLLBACK')
    if ((thrown as { code?: string }).code === '42501') return false
    throw thrown
  }
}

/** Where it was refused there is nothing to drop either. What describes tables stays for other moves. */
export async function removeCapture(source: Session, move: string): Promise<void> {
  await source.query(`${dropTriggers(move)} DROP FUNCTION IF EXISTS ${functionOf(move)}`)
}

/** Both ways, as literals in a list. */
export function publicationsOf(move: string): string {
  const directions = ['forward', 'reverse'] as const
  return directions.map((direction) => literal(streamName({ move, direction }))).join(', ')
}

function dropTriggers(move: string): string {
  return events.map((event) => `DROP EVENT TRIGGER IF EXISTS ${triggerName(event, move)};`).join('\n')
}

function triggerName(event: string, move: string): string {
  return ident(`replatform_${event}_${suffixOf(move)}`)
}

function functionOf(move: string): string {
  return `replatform.${ident(`note_definition_${suffixOf(move)}`)}()`
}

/** Names of moves may be longer than what is left of an identifier. */
function suffixOf(move: string): string {
  return createHash('sha256').update(move).digest('hex').slice(0, 12)
}
