/** The statements of the fence. Each export is one round trip, so that the pause does not grow with the tables. */
import type { TableFilter } from '@replatform/core/estate'
import { type FenceOrder, rankOf } from '@replatform/core/fence-order'
import { isCarried, notOfExtension } from './catalog.ts'
import { literal } from './sql.ts'
import { filterClauses } from './table-filter.ts'

export interface Fence {
  readonly move: string
  /** Of the cutover; 0 for one that prepares. */
  readonly turn: number
  /** The only role that may write, and only in sessions that `admitMover` admitted. */
  readonly moverRole: string
  /**
   * Of a move that carries only some tables: those are fenced, the door stays open and nobody's session ends for what
   * it does to others. The session must have been opened with the same filter.
   */
  readonly tables?: TableFilter | undefined
}

/** What must be restored lives beside what it restores; one row, because a database has one fence. */
export const fenceTableSql = `
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('replatform control schema'));
CREATE SCHEMA IF NOT EXISTS replatform;
REVOKE ALL ON SCHEMA replatform FROM PUBLIC;
CREATE TABLE IF NOT EXISTS replatform.fence (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  state text NOT NULL CHECK (state IN ('fencing', 'fenced', 'lifted')),
  -- Who could connect: grantee (0 = PUBLIC) and grantor by object id, and the grant option.
  connect_grants jsonb NOT NULL,
  -- Subscriptions that were enabled: their workers fire no statement triggers.
  subscriptions text[] NOT NULL,
  at timestamptz NOT NULL DEFAULT now());
-- Whose fence it is, and whether it left the door open.
ALTER TABLE replatform.fence ADD COLUMN IF NOT EXISTS move text, ADD COLUMN IF NOT EXISTS is_partial boolean NOT NULL DEFAULT false;
-- The newest order to the fence that each move gave, as its rank; see fence-order.ts.
CREATE TABLE IF NOT EXISTS replatform.fence_turn (move text PRIMARY KEY, rank bigint NOT NULL);
COMMIT`

/** Condition and SQLSTATE of an order that came too late. */
export const supersededState = 'RP001'

/**
 * The first thing of every statement that turns a fence. The row stays locked until its transaction ends, so that orders
 * follow one another; one that a later turn has overtaken raises, and changes nothing.
 */
function takeTurn({ move, verb, turn }: FenceOrder & { readonly move: string }): string {
  const rank = rankOf({ verb, turn })
  // Preparing fences again what is fenced already, in whatever turn.
  const isLate = rank === 0 ? 'seen % 2 = 1' : `seen > ${rank}`
  return `
    INSERT INTO replatform.fence_turn AS t (move, rank) VALUES (${literal(move)}, ${rank})
      ON CONFLICT (move) DO UPDATE SET rank = greatest(t.rank, excluded.rank) RETURNING t.rank INTO seen;
    IF ${isLate} THEN
      RAISE EXCEPTION USING ERRCODE = ${literal(supersededState)}, MESSAGE = 'a later turn has been there';
    END IF;`
}

/** The rank that stands, if any. */
export const standingTurn = 'SELECT rank FROM replatform.fence_turn WHERE move = $1'

/** A database has one fence. One row where that of another move stands. */
export const fenceOfOther = `SELECT move FROM replatform.fence WHERE state <> 'lifted' AND move <> $1`

/** A fence whose door stays open only says that it is being put up; it remembers nothing of the door. */
function leaveDoor({ move, turn }: Fence): string {
  return `DO $fence$ DECLARE seen bigint; BEGIN ${takeTurn({ move, verb: 'fence', turn })}
    INSERT INTO replatform.fence (state, connect_grants, subscriptions, move, is_partial) VALUES ('fencing', '[]', '{}', ${literal(move)}, true)
    ON CONFLICT (only_one) DO UPDATE SET state = excluded.state, at = now(), connect_grants = '[]', subscriptions = '{}',
      move = excluded.move, is_partial = true WHERE fence.state = 'lifted';
  END $fence$`
}

const connectGrants = `
  SELECT acl.grantee, acl.grantor, acl.is_grantable, d.datdba AS owner
  FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl
  WHERE d.datname = current_database() AND acl.privilege_type = 'CONNECT'`

/**
 * Remembers who may connect, and lets only the mover in. What an earlier call remembered stays.
 * Revoking what one may not revoke is only a warning to the server, so it looks afterwards.
 */
export function closeDoor(fence: Fence): string {
  const { move, moverRole, tables, turn } = fence
  if (tables) return leaveDoor(fence)
  return `DO $fence$
  DECLARE
    seen bigint;
    mover oid := (SELECT oid FROM pg_roles WHERE rolname = ${literal(moverRole)});
    door text := format('CONNECT ON DATABASE %I', current_database());
    held record;
  BEGIN
    ${takeTurn({ move, verb: 'fence', turn })}
    INSERT INTO replatform.fence (move, state, connect_grants, subscriptions)
    SELECT ${literal(move)}, 'fencing',
      (SELECT coalesce(jsonb_agg(jsonb_build_object(
         'grantee', g.grantee::int8, 'grantor', g.grantor::int8, 'grantable', g.is_grantable)), '[]') FROM (${connectGrants}) g),
      ARRAY(SELECT s.subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
        WHERE d.datname = current_database() AND s.subenabled)
    ON CONFLICT (only_one) DO UPDATE SET state = excluded.state, at = now(),
      connect_grants = excluded.connect_grants, subscriptions = excluded.subscriptions, move = excluded.move, is_partial = false
      WHERE fence.state = 'lifted';

    IF NOT EXISTS (SELECT FROM (${connectGrants}) g WHERE g.grantee = mover) THEN
      EXECUTE format('GRANT %s TO %I', door, ${literal(moverRole)});
    END IF;
    FOR held IN SELECT * FROM (${connectGrants}) g WHERE g.grantee <> mover ORDER BY g.grantor = g.owner LOOP
      ${asGrantor('held.grantor', 'held.owner')}
      EXECUTE format('REVOKE %s FROM %s CASCADE', door, ${grantee('held.grantee')});
      RESET ROLE;
    END LOOP;
    IF EXISTS (SELECT FROM (${connectGrants}) g WHERE g.grantee <> mover)
      OR NOT EXISTS (SELECT FROM (${connectGrants}) g WHERE g.grantee = mover) THEN
      RAISE insufficient_privilege USING MESSAGE =
        format('must be owner of database %s, or a member of its owner, to revoke CONNECT on it', current_database());
    END IF;

    FOR held IN SELECT unnest(subscriptions) AS name FROM replatform.fence LOOP
      IF EXISTS (SELECT FROM pg_subscription WHERE subname = held.name AND subenabled) THEN
        EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', held.name);
      END IF;
    END LOOP;
  END $fence$`
}

/** Grants are revoked and made by whom they came from: a grant of the same right by another is another grant. */
function asGrantor(grantor: string, owner: string): string {
  return `IF ${grantor} <> ${owner} THEN EXECUTE format('SET LOCAL ROLE %I', pg_get_userbyid(${grantor})); END IF;`
}

function grantee(oid: string): string {
  return `CASE ${oid} WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(${oid})) END`
}

/** What an application can write to. Tables of extensions are made by them, and are not carried either. */
const fencedRelations = `
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = 'replatform_fence'
  WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence IN ('p', 'u') AND ${isCarried} AND ${notOfExtension}`

export interface LockLimits {
  /** How long one table's lock may be waited for. */
  readonly lockMs: number
  readonly statementMs: number
}

/**
 * Puts the triggers on all tables in one transaction. Unless the fence stands already, every table is locked, also
 * those that kept a trigger of an earlier fence: the lock is what waits for writers.
 */
export function fenceTables(fence: Fence, limits: LockLimits): string {
  return `BEGIN;
  SET LOCAL lock_timeout = ${limits.lockMs};
  SET LOCAL statement_timeout = ${limits.statementMs};
  ${refuseWhenLifted(fence)}
  ${refusals(fence)}
  DO $fence$
  DECLARE
    stands boolean := (SELECT state = 'fenced' FROM replatform.fence);
    relation record;
  BEGIN
    FOR relation IN
      SELECT c.oid::regclass AS name, t.tgname IS NOT NULL AS has_trigger,
        CASE WHEN c.relkind = 'f' AND current_setting('server_version_num')::int < 160000 THEN '' ELSE 'OR TRUNCATE' END AS truncate
      ${fencedRelations} AND NOT (stands AND t.tgenabled IS NOT DISTINCT FROM 'A') ORDER BY c.oid
    LOOP
      IF NOT relation.has_trigger THEN
        EXECUTE format('CREATE TRIGGER replatform_fence BEFORE INSERT OR UPDATE OR DELETE %s ON %s
          FOR EACH STATEMENT EXECUTE FUNCTION replatform.refuse_write()', relation.truncate, relation.name);
      END IF;
      EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER replatform_fence', relation.name);
    END LOOP;
  END $fence$;
  ${fence.tables ? fenceSomeDefinitions : fenceDefinitions}
  COMMIT`
}

/**
 * A statement outlives the process that sent it. Without this: (1) a mover waits here for a table's lock and is killed;
 * (2) its cutover is aborted and another mover lifts the fence; (3) the lock is free, and the statement of the dead one
 * fences a side that takes payments. The row stays locked until the commit, so that (2) finds whom to end.
 */
const refuseWhenLifted = ({ move, turn }: Fence): string => `DO $fence$
  DECLARE seen bigint;
  BEGIN
    ${takeTurn({ move, verb: 'fence', turn })}
    PERFORM FROM replatform.fence WHERE state <> 'lifted' FOR UPDATE;
    IF NOT FOUND THEN
      RAISE object_not_in_prerequisite_state USING MESSAGE = 'another process has lifted the fence';
    END IF;
  END $fence$;`

/** Ends whoever is still fencing in the name of the same move. */
export const endFencers = `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
  WHERE a.datname = current_database() AND a.usename = current_user AND a.pid <> pg_backend_pid()
    AND a.application_name = current_setting('application_name')
    AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.relation = 'replatform.fence'::regclass
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))`

/** The fence stands; tables that were committed after the triggers were put up are fenced with the same stroke. */
export function markFenced(fence: Fence, limits: LockLimits): string {
  const sql = fenceTables(fence, limits)
  const inTurn = `DO $fence$ DECLARE seen bigint; BEGIN ${takeTurn({ ...fence, verb: 'fence' })} END $fence$;`
  // A function, because a text to replace with would read `$f` of `$fence$` as a reference.
  return sql.replace(
    /^BEGIN;/,
    () => `BEGIN; ${inTurn} UPDATE replatform.fence SET state = 'fenced', at = now() WHERE state <> 'lifted';`,
  )
}

/** Both refuse unless it is the mover; operators are qualified, because callers choose their own search_path. */
function refusals({ move, moverRole, tables }: Fence): string {
  const isMover = `(session_user OPERATOR(pg_catalog.=) ${literal(moverRole)}::pg_catalog.name
      AND pg_catalog.current_setting('replatform.mover', true) OPERATOR(pg_catalog.=) ${literal(move)}) IS TRUE`
  const refuse = (what: string) => `RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction',
      MESSAGE = ${what}, HINT = 'The database is being moved. Connect again: writes go on at its new address, or here if the move is called off.'`
  return `
  CREATE OR REPLACE FUNCTION replatform.refuse_write() RETURNS trigger LANGUAGE plpgsql AS $refuse$
  BEGIN
    IF ${isMover} THEN RETURN NULL; END IF;
    ${refuse(`pg_catalog.concat('fenced by Replatform: ', TG_TABLE_SCHEMA, '.', TG_TABLE_NAME, ' takes no writes')`)};
  END $refuse$;
  CREATE OR REPLACE FUNCTION replatform.refuse_definition() RETURNS event_trigger LANGUAGE plpgsql ${tables ? `SET search_path = pg_catalog ${filterClauses(tables)}` : ''} AS $refuse$
  BEGIN
    IF ${isMover} THEN RETURN; END IF;
    ${tables ? unlessFenced : ''}
    ${refuse(`pg_catalog.concat('fenced by Replatform: no ', TG_TAG)`)};
  END $refuse$;`
}

/** Event triggers are for superusers (and RDS' master): without them, nobody who could define anything can connect. */
const fenceDefinitions = `
  DO $fence$
  BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'replatform_fence') THEN
      CREATE EVENT TRIGGER replatform_fence ON ddl_command_start EXECUTE FUNCTION replatform.refuse_definition();
    END IF;
    ALTER EVENT TRIGGER replatform_fence ENABLE ALWAYS;
  EXCEPTION WHEN insufficient_privilege THEN NULL;
  END $fence$;`

/** Of the tables that are fenced, or would be: a new one that the filter fits, or one that is dropped or altered. */
const unlessFenced = `
    IF TG_EVENT = 'sql_drop' THEN
      IF NOT EXISTS (SELECT FROM pg_event_trigger_dropped_objects() o 
        WHERE o.object_type = 'trigger' AND o.address_names[3] = 'replatform_fence') THEN RETURN; END IF;
    ELSIF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f') AND ${isCarried}) THEN RETURN;
    END IF;`

const fenceSomeDefinitions = `
  DO $fence$
  BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'replatform_fence') THEN
      CREATE EVENT TRIGGER replatform_fence ON ddl_command_end EXECUTE FUNCTION replatform.refuse_definition();
      CREATE EVENT TRIGGER replatform_fence_drop ON sql_drop EXECUTE FUNCTION replatform.refuse_definition();
    END IF;
    ALTER EVENT TRIGGER replatform_fence ENABLE ALWAYS;
    ALTER EVENT TRIGGER replatform_fence_drop ENABLE ALWAYS;
  EXCEPTION WHEN insufficient_privilege THEN NULL;
  END $fence$;`

/** Which fence of the move, or of any, stands or is being put up: since when, as text. No row where there is none. */
export const standingFence = `SELECT at::text AS since FROM replatform.fence
  WHERE state <> 'lifted' AND ($1::text IS NULL OR coalesce(move, $1) = $1)`

/**
 * Opens everything in one transaction that takes no table's lock: the triggers' function lets all pass, the door is as
 * it was. What is left of the fence refuses nobody.
 *
 * Lifts the fence that was put up at `since` and no later one, and none that stands for a later turn than the order's.
 * Without that: (1) a cutover is aborted, the statement is sent, and the server stands still; (2) the mover gives the
 * connection up and lifts the fence by another; (3) the next cutover fences the side again; (4) the first statement is
 * carried out at last, and opens it beside its target. No order: the move is over, its turns are forgotten next.
 */
export const liftFence = (
  since: string | null,
  order: (FenceOrder & { readonly move: string }) | null,
): string => `DO $fence$
  DECLARE
    seen bigint;
    door text := format('CONNECT ON DATABASE %I', current_database());
    remembered record;
    held record;
  BEGIN
    ${order ? takeTurn(order) : ''}
    SELECT * INTO remembered FROM replatform.fence WHERE state <> 'lifted' AND at::text = ${since === null ? 'NULL' : literal(since)} FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    DROP EVENT TRIGGER IF EXISTS replatform_fence;
    DROP EVENT TRIGGER IF EXISTS replatform_fence_drop;
    DROP FUNCTION IF EXISTS replatform.refuse_definition();
    IF to_regproc('replatform.refuse_write') IS NOT NULL THEN
      CREATE OR REPLACE FUNCTION replatform.refuse_write() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    END IF;

    IF remembered.is_partial THEN
      UPDATE replatform.fence SET state = 'lifted';
      RETURN;
    END IF;

    FOR held IN
      SELECT g.*, d.datdba AS owner FROM jsonb_to_recordset(remembered.connect_grants) g(grantee oid, grantor oid, grantable boolean)
        JOIN pg_database d ON d.datname = current_database()
      WHERE (g.grantee = 0 OR g.grantee IN (SELECT oid FROM pg_roles)) AND g.grantor IN (SELECT oid FROM pg_roles)
        AND NOT EXISTS (SELECT FROM (${connectGrants}) now WHERE now.grantee = g.grantee AND now.grantor = g.grantor
          AND now.is_grantable = g.grantable)
      ORDER BY g.grantor <> d.datdba
    LOOP
      ${asGrantor('held.grantor', 'held.owner')}
      EXECUTE format('GRANT %s TO %s %s', door, ${grantee('held.grantee')},
        CASE WHEN held.grantable AND held.grantee <> held.owner THEN 'WITH GRANT OPTION' ELSE '' END);
      RESET ROLE;
    END LOOP;
    FOR held IN SELECT * FROM (${connectGrants}) g WHERE NOT EXISTS (
      SELECT FROM jsonb_to_recordset(remembered.connect_grants) r(grantee oid, grantor oid)
      WHERE r.grantee = g.grantee AND r.grantor = g.grantor)
    LOOP
      ${asGrantor('held.grantor', 'held.owner')}
      EXECUTE format('REVOKE %s FROM %s CASCADE', door, ${grantee('held.grantee')});
      RESET ROLE;
    END LOOP;

    FOR held IN SELECT unnest(remembered.subscriptions) AS name LOOP
      IF EXISTS (SELECT FROM pg_subscription WHERE subname = held.name AND NOT subenabled) THEN
        EXECUTE format('ALTER SUBSCRIPTION %I ENABLE', held.name);
      END IF;
    END LOOP;
    UPDATE replatform.fence SET state = 'lifted';
  END $fence$`

/**
 * Takes the idle triggers off, table by table, each in a transaction of its own. A table that somebody reads for long
 * keeps its trigger: waiting for it would make everybody who comes later wait as well.
 */
export const sweepTriggers = `DO $fence$
  DECLARE
    relation regclass;
    is_left boolean := false;
  BEGIN
    FOREACH relation IN ARRAY ARRAY(SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'replatform_fence') LOOP
      PERFORM set_config('lock_timeout', '50ms', true), set_config('synchronous_commit', 'off', true);
      BEGIN
        EXECUTE format('DROP TRIGGER IF EXISTS replatform_fence ON %s', relation);
      EXCEPTION WHEN lock_not_available OR undefined_table THEN
        is_left := true;
      END;
      COMMIT;
    END LOOP;
    IF NOT is_left THEN DROP FUNCTION IF EXISTS replatform.refuse_write(); END IF;
  END $fence$`
