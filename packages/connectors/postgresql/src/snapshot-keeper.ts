/**
 * Keeps the snapshot of a full load alive in a process of its own, so that a mover that dies leaves a load that goes on
 * chunk by chunk at the same instant of the source, instead of one that begins again.
 *
 * The process ends by itself when the move has had no other session on the source for a while, and at once when
 * somebody ends its session there.
 */
import { fork } from 'node:child_process'
import type { Endpoint } from '@replatform/core/connector'
import { deserializeError, ReplatformError, type SerializedError } from '@replatform/core/errors'
import { applicationName, type Session } from './session.ts'
import { literal } from './sql.ts'

export interface KeeperOptions {
  readonly endpoint: Endpoint
  readonly move: string
  /** Where the snapshot comes from: the slot of the flow, made with it, or a temporary one. */
  readonly slot: { readonly name: string; readonly temporary: boolean }
  /** Quoted names; locked in ACCESS SHARE mode, so that nothing rewrites or truncates them during the load. */
  readonly tables: readonly string[]
}

export interface KeptSnapshot {
  /** For SET TRANSACTION SNAPSHOT. */
  readonly snapshot: string
  /** Every commit before it is in the snapshot, every other one is in the change stream that starts there. */
  readonly position: string
}

export const keeperRole = 'keeper'

export type KeeperAnswer = { readonly kept: KeptSnapshot } | { readonly error: SerializedError }

/** Starts the keeper and creates the slot. The keeper lives on when this process ends. */
export async function keepSnapshot(options: KeeperOptions): Promise<KeptSnapshot> {
  const child = fork(new URL('./snapshot-keeper-main.ts', import.meta.url), {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execArgv: ['--max-old-space-size=64'],
  })
  const answer = await new Promise<KeeperAnswer>((resolve, reject) => {
    child.once('message', (message) => resolve(message as KeeperAnswer))
    child.once('error', reject)
    child.once('exit', () =>
      reject(new ReplatformError('mover.crashed', { message: 'The process that keeps the snapshot ended early.' })),
    )
    child.send(options)
  })
  if ('error' in answer) throw deserializeError(answer.error)
  child.removeAllListeners()
  child.disconnect()
  child.unref()
  return answer.kept
}

/** Whether a snapshot can still be used, and is ours: names are used again after a restart, by whoever exports one. */
export async function isSnapshotAlive(source: Session, move: string, snapshot: string): Promise<boolean> {
  const keeper = await source.query('SELECT FROM pg_stat_activity WHERE application_name = $1', [
    applicationName(move, keeperRole),
  ])
  if (keeper.rowCount === 0) return false
  await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  const isAlive = await source.query(`SET TRANSACTION SNAPSHOT ${literal(snapshot)}`).then(
    () => true,
    () => false,
  )
  await source.query('ROLLBACK')
  return isAlive
}

/** Ends the keeper of a move, wherever it runs, by ending its session. Idempotent. */
export async function releaseSnapshot(source: Session, move: string): Promise<void> {
  await source.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = $1 AND usename = current_user AND datname = current_database()`,
    [applicationName(move, keeperRole)],
  )
}
