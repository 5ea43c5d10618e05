/**
 * What Replatform keeps inside the databases that it moves, in a schema of its own on either side: progress lives
 * with the data, so it is exactly as durable as the rows it speaks of.
 */
import type { Session } from './session.ts'

const statements = `
CREATE SCHEMA IF NOT EXISTS replatform;
REVOKE ALL ON SCHEMA replatform FROM PUBLIC;

-- On the target of a flow: who may write (epoch), and up to which commit the source's changes are here.
CREATE TABLE IF NOT EXISTS replatform.flow (
  move text NOT NULL, direction text NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  position pg_lsn,
  source_system text NOT NULL,
  snapshot text,
  load_finished boolean NOT NULL DEFAULT false,
  -- Where the last comparison that found both sides equal stood, and the files that the source's tables had then.
  compared_at pg_lsn, compared_files jsonb NOT NULL DEFAULT '{}',
  -- Since when a comparison of everything goes on, or was interrupted; keys are recorded from then on.
  comparing_at pg_lsn,
  PRIMARY KEY (move, direction));

-- On the target of a flow: what its spool on the mover's machine is encrypted with; see open-spool.ts.
CREATE TABLE IF NOT EXISTS replatform.spool (
  move text NOT NULL, direction text NOT NULL, key bytea NOT NULL, PRIMARY KEY (move, direction));

-- On the target of a flow: the pieces of the full load. A chunk is done exactly when its rows are here.
CREATE TABLE IF NOT EXISTS replatform.chunk (
  move text NOT NULL, id text NOT NULL, relation text NOT NULL,
  first_block bigint NOT NULL, end_block bigint NOT NULL, bytes_estimate bigint NOT NULL,
  done boolean NOT NULL DEFAULT false, rows bigint, bytes bigint,
  PRIMARY KEY (move, id));

-- On the target of a flow: tables that were loaded at a later snapshot than the flow's; earlier changes are in it.
CREATE TABLE IF NOT EXISTS replatform.table_start (
  move text NOT NULL, relation text NOT NULL, position pg_lsn NOT NULL,
  PRIMARY KEY (move, relation));

-- On the target of a flow: keys written since the last comparison began.
CREATE TABLE IF NOT EXISTS replatform.changed (
  move text NOT NULL, direction text NOT NULL, relation text NOT NULL, key text[] NOT NULL, position pg_lsn NOT NULL,
  PRIMARY KEY (move, direction, relation, key));

-- On the target of a flow: what a comparison that goes on, or was interrupted, found equal; see compare-progress.ts.
CREATE TABLE IF NOT EXISTS replatform.compared (
  move text NOT NULL, direction text NOT NULL, relation text NOT NULL, at pg_lsn NOT NULL, shape text NOT NULL,
  rows bigint NOT NULL, next_key text[],
  PRIMARY KEY (move, direction, relation));

-- On the target of a flow: outcomes of cutovers, copied here before the target opens.
CREATE TABLE IF NOT EXISTS replatform.decision (id text PRIMARY KEY, outcome text NOT NULL, at timestamptz NOT NULL);

-- On the source of a flow: tables as the event triggers saw them last, and what became of them since. The latter is
-- published, so that it arrives in the change stream at its place among the rows.
CREATE TABLE IF NOT EXISTS replatform.shape (
  move text NOT NULL, relation oid NOT NULL, description jsonb NOT NULL, PRIMARY KEY (move, relation));
CREATE TABLE IF NOT EXISTS replatform.definition (
  id bigserial PRIMARY KEY, move text NOT NULL, tag text NOT NULL, object text, kind text NOT NULL, was jsonb, now_is jsonb,
  at timestamptz NOT NULL DEFAULT clock_timestamp());

-- On the target of a flow: what was done with each of them.
CREATE TABLE IF NOT EXISTS replatform.definition_change (
  move text NOT NULL, direction text NOT NULL, position pg_lsn NOT NULL, tag text NOT NULL, object text NOT NULL,
  outcome text NOT NULL, statements text[] NOT NULL, at timestamptz NOT NULL DEFAULT now());

-- On the source of a flow: published, so that a mark in the history arrives in the change stream.
CREATE TABLE IF NOT EXISTS replatform.barrier (move text PRIMARY KEY, mark bigint NOT NULL, at timestamptz NOT NULL);
`

/** Creates what is missing; safe to call from several processes at once. Commits. */
export async function ensureControlSchema(session: Session): Promise<void> {
  await session.query('BEGIN')
  await session.query(`SELECT pg_advisory_xact_lock(hashtext('replatform control schema'))`)
  await session.query(statements)
  await session.query('COMMIT')
}
