/** The source's side of a change stream: publication, slot, barrier. */
import { ReplatformError } from '@replatform/core/errors'
import type { Table } from './catalog.ts'
import type { FlowKey } from './flow-store.ts'
import { type Lsn, parseLsn } from './lsn.ts'
import { streamName } from './names.ts'
import type { Session } from './session.ts'
import { ident, literal } from './sql.ts'

/** Publishes every table that holds rows, and the barrier. Idempotent; commits. */
export async function ensurePublication(source: Session, key: FlowKey, tables: readonly Table[]): Promise<void> {
  const name = streamName(key)
  const list = [
    'replatform.barrier',
    'replatform.definition',
    ...published(tables).map((table) => table.qualified),
  ].join(', ')
  const { rows } = await source.query('SELECT FROM pg_publication WHERE pubname = $1', [name])
  if (rows.length > 0) await source.query(`ALTER PUBLICATION ${ident(name)} SET TABLE ${list}`)
  else await source.query(`CREATE PUBLICATION ${ident(name)} FOR TABLE ${list}`)
}

/** Unlogged tables leave no trace in the log. */
export function published(tables: readonly Table[]): readonly Table[] {
  return tables.filter((table) => !table.isUnlogged)
}

export interface Slot {
  /** Null while it is being created. */
  readonly confirmed: Lsn | null
  readonly isActive: boolean
  /** The server has removed log that it needs. Servers before 13 do not say. */
  readonly isLost: boolean
}

/** Where the slot stands, null while it is being created; undefined where it does not exist. */
export async function readSlot(source: Session, key: FlowKey): Promise<Slot | undefined> {
  const { rows } = await source.query(
    `SELECT confirmed_flush_lsn AS confirmed, active, database, current_database() AS ours, to_jsonb(s) ->> 'wal_status' AS wal FROM pg_replication_slots s WHERE slot_name = $1`,
    [streamName(key)],
  )
  const row = rows[0] as Record<'confirmed' | 'active' | 'database' | 'ours' | 'wal', string> | undefined
  if (row && row.database !== row.ours) throw slotTaken(streamName(key), row.database)
  if (!row) return undefined
  const confirmed = row.confirmed === null ? null : parseLsn(row.confirmed)
  return { confirmed, isActive: row.active === 't', isLost: row.wal === 'lost' }
}

/** Throws `postgresql.slot-missing` when changes since the checkpoint cannot be had any more. */
export function requireSlot(slot: Slot | undefined, key: FlowKey): asserts slot is Slot {
  if (slot && !slot.isLost) return
  throw new ReplatformError('postgresql.slot-missing', {
    message: `The replication slot ${streamName(key)} ${slot ? 'was invalidated' : 'does not exist any more'}.`,
  })
}

/** Slots belong to the whole server: that of another database's move is not ours to read or drop. */
function slotTaken(name: string, database: string): ReplatformError {
  return new ReplatformError('postgresql.slot-taken', {
    message: `The replication slot ${name} belongs to the database ${database} of the same server.`,
  })
}

/** Creates the slot of a flow that loads nothing. Waits for transactions that are open now. Idempotent. */
export async function ensureSlot(source: Session, key: FlowKey): Promise<void> {
  const found = await readSlot(source, key)
  if (found?.confirmed != null) return
  // The statement of a mover that died while it waited; it would vanish with an error, or become a slot, at any time.
  if (found) await dropSlot(source, key)
  await source.query(`SELECT pg_create_logical_replication_slot(${literal(streamName(key))}, 'pgoutput')`)
}

/** Ends whoever reads the slot and drops it. Idempotent. */
export async function dropSlot(source: Session, key: FlowKey): Promise<void> {
  const name = streamName(key)
  for (let attempt = 0; attempt < 50; attempt++) {
    if (!(await readSlot(source, key))) return
    await source.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
      [name],
    )
    const dropped = await source.query('SELECT pg_drop_replication_slot($1)', [name]).then(
      () => true,
      // 55006: its reader has not ended yet.
      (error: { code?: string }) => (error.code === '55006' ? false : Promise.reject(error)),
    )
    if (dropped) return
    await source.query('SELECT pg_sleep(0.1)')
  }
  throw new ReplatformError('internal', { message: `The replication slot ${name} is still in use.` })
}

export async function dropPublication(source: Session, key: FlowKey): Promise<void> {
  await source.query(`DROP PUBLICATION IF EXISTS ${ident(streamName(key))}`)
}

/**
 * Writes a mark that travels with the changes. What was committed before this call lies before the position that it
 * returns, and the mark itself behind it; on a fenced source nothing of anybody else's can follow.
 */
export async function writeBarrier(source: Session, key: FlowKey): Promise<{ position: Lsn; at: string }> {
  await source.query('BEGIN')
  const { rows } = await source.query(
    `INSERT INTO replatform.barrier AS b VALUES ($1, 1, clock_timestamp())
     ON CONFLICT (move) DO UPDATE SET mark = b.mark + 1, at = excluded.at
     RETURNING pg_current_wal_insert_lsn() AS position, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at`,
    [key.move],
  )
  await source.query('COMMIT')
  const row = rows[0] as { position: string; at: string }
  return { position: parseLsn(row.position), at: row.at }
}

export async function readWalEnd(source: Session): Promise<Lsn> {
  const { rows } = await source.query('SELECT pg_current_wal_insert_lsn() AS position')
  return parseLsn((rows[0] as { position: string }).position)
}
