import { ReplatformError } from '@replatform/core/errors'
import type { ControlDatabase, Sql } from './control-database.ts'

/** Each entry is one version, applied once and never edited afterwards. */
const migrations: readonly (readonly string[])[] = [
  [
    `CREATE TABLE replatform_control.move (
       estate text, name text,
       route text NOT NULL,
       state text NOT NULL DEFAULT 'planned',
       should_run boolean NOT NULL DEFAULT false,
       paused_reason text,
       paused_error jsonb,
       last_compare jsonb,
       updated timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (estate, name))`,
    `CREATE TABLE replatform_control.operation (
       id text PRIMARY KEY,
       estate text NOT NULL, move text NOT NULL,
       verb text NOT NULL,
       exclusive boolean NOT NULL,
       state text NOT NULL,
       actor text NOT NULL, reason text,
       plan jsonb NOT NULL,
       result jsonb, error jsonb,
       started timestamptz NOT NULL, finished timestamptz)`,
    `CREATE UNIQUE INDEX operation_one_at_a_time ON replatform_control.operation (estate, move)
       WHERE state = 'running' AND exclusive`,
    // A cutover has a row of its own because a wave is one cutover of several moves.
    `CREATE TABLE replatform_control.cutover (
       id text PRIMARY KEY,
       estate text NOT NULL,
       direction text NOT NULL,
       budget_ms integer NOT NULL,
       outcome text, pause_ms double precision,
       started timestamptz NOT NULL, finished timestamptz)`,
    `CREATE TABLE replatform_control.cutover_move (
       cutover text REFERENCES replatform_control.cutover,
       estate text NOT NULL, move text NOT NULL,
       state_before text NOT NULL,
       PRIMARY KEY (cutover, move))`,
    `CREATE INDEX cutover_move_by_move ON replatform_control.cutover_move (estate, move)`,
    `CREATE TABLE replatform_control.journal (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       estate text NOT NULL, move text NOT NULL,
       operation text,
       step text NOT NULL, description text NOT NULL,
       state text NOT NULL,
       started timestamptz NOT NULL, ms double precision,
       error_code text)`,
    `CREATE INDEX journal_by_move ON replatform_control.journal (estate, move, id)`,
    `CREATE INDEX journal_by_operation ON replatform_control.journal (operation, id)`,
    `CREATE TABLE replatform_control.audit (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       estate text NOT NULL,
       at timestamptz NOT NULL,
       actor text NOT NULL, verb text NOT NULL, move text,
       outcome text NOT NULL, detail text NOT NULL)`,
    `CREATE TABLE replatform_control.decision (
       id text PRIMARY KEY,
       outcome text NOT NULL CHECK (outcome IN ('committed', 'aborted')),
       at text NOT NULL)`,
  ],
  // Waves: an operation may be of several moves.
  [
    'ALTER TABLE replatform_control.operation ALTER COLUMN move DROP NOT NULL',
    'ALTER TABLE replatform_control.operation ADD COLUMN wave text',
    'ALTER TABLE replatform_control.cutover ADD COLUMN wave text',
    `CREATE TABLE replatform_control.operation_claim (
       estate text, move text,
       operation text NOT NULL REFERENCES replatform_control.operation,
       PRIMARY KEY (estate, move))`,
    `INSERT INTO replatform_control.operation_claim
       SELECT estate, move, id FROM replatform_control.operation WHERE state = 'running' AND exclusive`,
    'DROP INDEX replatform_control.operation_one_at_a_time',
  ],
  // What must hold before a wave cuts over.
  [
    'ALTER TABLE replatform_control.operation ADD COLUMN override boolean NOT NULL DEFAULT false',
    'ALTER TABLE replatform_control.cutover ADD COLUMN predicted_ms double precision',
    `CREATE TABLE replatform_control.approval (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       estate text NOT NULL, wave text NOT NULL,
       definition text NOT NULL,
       actor text NOT NULL, reason text,
       at timestamptz NOT NULL)`,
    `CREATE TABLE replatform_control.incident (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       estate text NOT NULL,
       severity text NOT NULL, title text NOT NULL,
       opened_by text NOT NULL, opened_at timestamptz NOT NULL,
       closed_by text, closed_at timestamptz)`,
    `CREATE TABLE replatform_control.rehearsal (
       operation text PRIMARY KEY,
       estate text NOT NULL, wave text NOT NULL,
       passed boolean NOT NULL,
       report jsonb NOT NULL,
       at timestamptz NOT NULL)`,
  ],
  // Each entry of the audit log holds the hash of the one before.
  [
    "ALTER TABLE replatform_control.audit ADD COLUMN origin text NOT NULL DEFAULT ''",
    'ALTER TABLE replatform_control.audit ADD COLUMN number bigint',
    'ALTER TABLE replatform_control.audit ADD COLUMN previous text',
    'ALTER TABLE replatform_control.audit ADD COLUMN hash text',
    'CREATE INDEX audit_by_number ON replatform_control.audit (estate, number)',
  ],
  // What an operator allows a move, over what the estate says.
  ['ALTER TABLE replatform_control.move ADD COLUMN limits jsonb'],
  // What tells late fences from due ones.
  ['ALTER TABLE replatform_control.cutover ADD COLUMN turn bigint NOT NULL DEFAULT 0'],
]

/** Brings the schema to this version. Several workers may start at once. Throws `state.newer-version`. */
export async function migrate(database: ControlDatabase): Promise<void> {
  await database.transaction(async (sql) => {
    await sql.query(`SELECT pg_advisory_xact_lock(hashtext('replatform_control'))`)
    const from = await installedVersion(sql)
    if (from > migrations.length) {
      throw new ReplatformError('state.newer-version', {
        message: `The control database has version ${from}; this Replatform knows ${migrations.length}.`,
      })
    }
    for (const statements of migrations.slice(from)) for (const statement of statements) await sql.query(statement)
    await sql.query('UPDATE replatform_control.version SET number = $1', [migrations.length])
  })
}

async function installedVersion(sql: Sql): Promise<number> {
  await sql.query('CREATE SCHEMA IF NOT EXISTS replatform_control')
  await sql.query('CREATE TABLE IF NOT EXISTS replatform_control.version (number integer NOT NULL)')
  const [row] = await sql.query<{ number: number }>('SELECT number FROM replatform_control.version')
  if (row) return row.number
  await sql.query('INSERT INTO replatform_control.version VALUES (0)')
  return 0
}
