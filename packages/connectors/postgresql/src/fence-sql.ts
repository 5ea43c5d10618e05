/** The statements of the fence. Each export is one round trip, so that the pause does not grow with the tables. */
import { notOfExtension, notOurs } from './catalog.ts'
import { literal } from './sql.ts'

export interface Fence {
  readonly move: string
  /** The only role that may write, and only in sessions that `admitMover` admitted. */
  readonly moverRole: string
}

/** What must be restored lives beside what it restores; one row, because a database has one fence. */
export const fenceTableSql = `
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('replatform control schema'));
CREATE SCHEMA IF NOT EXISTS replatform;
REVOKE ALL ON SCHEMA replatform FROM PUBLIC;
CREATE TABLE IF NOT EXISTS replatform.fence (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  state text NOT NULL CHECK (state IN ('fencing', 'fenced')),
  -- Who could connect: grantee (0 = PUBLIC) and grantor by object id, and the grant option.
  connect_grants jsonb NOT NULL,
  -- Subscriptions that were enabled: their workers fire no statement triggers.
  subscriptions text[] NOT NULL,
  at timestamptz NOT NULL DEFAULT now());
COMMIT`

const connectGrants = `
  SELECT acl.grantee, acl.grantor, acl.is_grantable, d.datdba AS owner
  FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl
  WHERE d.datname = current_database() AND acl.privilege_type = 'CONNECT'`

/**
 * A grant counts as made by its grantor; the owner's need no change of role. Revoking what one may not revoke is only
 * a warning to the server, so each of these steps looks afterwards.
 */
const roleHelpers = `
  CREATE OR REPLACE FUNCTION pg_temp.replatform_as(grantor oid, owner oid, statement text) RETURNS void LANGUAGE plpgsql AS $as$
  BEGIN
    IF grantor <> owner THEN EXECUTE format('SET LOCAL ROLE %I', grantor::regrole::text); END IF;
    EXECUTE statement;
    RESET ROLE;
  END $as$;`

/** Remembers who may connect, and lets only the mover in. What an earlier call remembered stays. */
export function closeDoor({ moverRole }: Fence): string {
  return `DO $fence$
  DECLARE
    mover oid := (SELECT oid FROM pg_roles WHERE rolname = ${literal(moverRole)});
    door text := format('CONNECT ON DATABASE %I', current_database());
    held record;
  BEGIN
    INSERT INTO replatform.fence (state, connect_grants, subscriptions)
    SELECT 'fencing',
      (SELECT coalesce(jsonb_agg(jsonb_build_object(
         'grantee', g.grantee::int8, 'grantor', g.grantor::int8, 'grantable', g.is_grantable)), '[]') FROM (${connectGrants}) g),
      ARRAY(SELECT s.subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
        WHERE d.datname = current_database() AND s.subenabled)
    ON CONFLICT DO NOTHING;

    IF NOT EXISTS (SELECT FROM (${connectGrants}) g WHERE g.grantee = mover) THEN
      EXECUTE format('GRANT %s TO %I', door, ${literal(moverRole)});
    END IF;
    FOR held IN SELECT * FROM (${connectGrants}) g WHERE g.grantee <> mover ORDER BY g.grantor = g.owner LOOP
      IF held.grantor <> held.owner THEN EXECUTE format('SET LOCAL ROLE %I', pg_get_userbyid(held.grantor)); END IF;
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

function grantee(oid: string): string {
  return `CASE ${oid} WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(${oid})) END`
}
