/** The row of a flow in the target's control schema: its epoch, its checkpoint, its snapshot. */

import { invariant, ReplatformError } from '@replatform/core/errors'
import type { Direction } from '@replatform/core/move'
import { type Lsn, parseLsn } from './lsn.ts'
import type { Session } from './session.ts'

export interface FlowKey {
  readonly move: string
  readonly direction: Direction
}

export interface FlowRow {
  readonly epoch: bigint
  /** Every source commit that ends at or before it is on the target. Null before the first checkpoint. */
  readonly position: Lsn | null
  /** System identifier and timeline of the source that positions belong to. */
  readonly sourceSystem: string
  readonly snapshot: string | null
  readonly loadFinished: boolean
  /** Where the last comparison that found both sides equal stood. */
  readonly comparedAt: Lsn | null
  /** Since when a comparison of everything goes on, or was interrupted. */
  readonly comparingAt: Lsn | null
  /** The source's tables as of then; see `readTableFiles`. */
  readonly comparedFiles: Readonly<Record<string, string>>
}

export async function readFlow(session: Session, key: FlowKey): Promise<FlowRow | undefined> {
  const { rows } = await session.query(
    `SELECT epoch, position, source_system, snapshot, load_finished, compared_at, comparing_at, compared_files
     FROM replatform.flow WHERE move = $1 AND direction = $2`,
    [key.move, key.direction],
  )
  const row = rows[0] as Record<string, string | null> | undefined
  if (!row) return undefined
  return {
    epoch: BigInt(row.epoch as string),
    position: row.position ? parseLsn(row.position) : null,
    sourceSystem: row.source_system as string,
    snapshot: row.snapshot ?? null,
    loadFinished: row.load_finished === 't',
    comparedAt: row.compared_at ? parseLsn(row.compared_at) : null,
    comparingAt: row.comparing_at ? parseLsn(row.comparing_at) : null,
    comparedFiles: JSON.parse(row.compared_files as string) as Record<string, string>,
  }
}

/** Idempotent. Commits, unless the caller has a transaction open. */
export async function createFlow(session: Session, key: FlowKey, sourceSystem: string): Promise<void> {
  await session.query(
    `INSERT INTO replatform.flow (move, direction, source_system) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    [key.move, key.direction, sourceSystem],
  )
}

/**
 * Takes the flow over: from the commit on, whoever held an earlier epoch is refused. Waits for a transaction of theirs
 * that is about to commit. Creates the row when the flow has none yet, so that nobody can start one behind our back.
 */
export async function raiseEpoch(session: Session, key: FlowKey): Promise<bigint> {
  const { rows } = await session.query(
    `UPDATE replatform.flow SET epoch = epoch + 1 WHERE move = $1 AND direction = $2 RETURNING epoch`,
    [key.move, key.direction],
  )
  invariant(rows.length === 1, 'A flow must be prepared before its epoch is raised.')
  return BigInt((rows[0] as { epoch: string }).epoch)
}

/** Throws when another process has raised the epoch, or the flow was cleaned up. */
export function requireEpoch(updatedRows: number | null, key: FlowKey): void {
  if (updatedRows === 1) return
  throw new ReplatformError('epoch.superseded', {
    message: `Another process has taken over the ${key.direction} flow of ${key.move}.`,
  })
}
