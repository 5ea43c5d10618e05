/**
 * A snapshot on a standby of the source at an exact position: the replay of the log is held for a moment, so that what
 * the snapshot shows is every commit before the position and none after.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'
import { readWalEnd } from './change-stream.ts'
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'
import type { Session } from './session.ts'

export interface ReplicaOptions {
  /** Not in a transaction yet; afterwards in the one that holds the snapshot. */
  readonly replica: Session
  readonly source: Session
  /** As `describe` writes it. */
  readonly name: string
}

/** How long a replica may take for what the source has written by now. */
const catchUpMs = 60_000
const pollMs = 50

/** Throws `postgresql.replica-unusable` unless it is a standby of the very source. */
export async function requireReplica({ replica, source, name }: ReplicaOptions): Promise<void> {
  const sql = 'SELECT system_identifier AS id, pg_is_in_recovery() AS standby FROM pg_control_system()'
  const [ours, theirs] = await Promise.all([source, replica].map(async (session) => (await session.query(sql)).rows[0]))
  const [{ id }, { id: otherId, standby }] = [ours, theirs] as Record<'id' | 'standby', string>[] as [
    Record<'id' | 'standby', string>,
    Record<'id' | 'standby', string>,
  ]
  if (id !== otherId) throw unusable(`${name} is no replica of the source: it is system ${otherId}, the source ${id}.`)
  if (standby !== 't') throw unusable(`${name} is no standby any more: it was promoted.`)
}

/**
 * Waits until the replica has everything that the source has written by now. Throws `postgresql.replica-lagging` when
 * that takes too long, and says how far it is behind.
 */
export async function waitForReplica(options: ReplicaOptions, withinMs = catchUpMs): Promise<void> {
  const end = await readWalEnd(options.source)
  const deadline = performance.now() + withinMs
  for (;;) {
    const { rows } = await options.replica.query(
      'SELECT pg_last_wal_replay_lsn() AS replayed, pg_is_in_recovery() AS standby',
    )
    const { replayed, standby } = rows[0] as { replayed: string | null; standby: string }
    if (standby !== 't') throw unusable(`${options.name} is no standby any more: it was promoted.`)
    const at = replayed === null ? 0n : parseLsn(replayed)
    if (at >= end) return
    if (performance.now() > deadline) {
      throw new ReplatformError('postgresql.replica-lagging', {
        message: `${options.name} stands at ${formatLsn(at)}, ${end - at} bytes behind, after ${Math.round(withinMs / 1_000)} s of waiting.`,
      })
    }
    await sleep(pollMs)
  }
}

/**
 * Begins the transaction and returns its position. All of it is one message: the server goes through it even when this
 * process dies in between, so that nobody leaves a replica that replays no more.
 *
 * Looking at the position alone would not do: (1) the replay makes a commit visible; (2) the snapshot is taken; (3) the
 * replay notes that it is past the commit.
 */
export async function takeReplicaSnapshot({ replica, name }: ReplicaOptions): Promise<Lsn> {
  const { rows } = await replica.query(`SELECT current_setting('server_version_num')::int / 10000 AS major`)
  const stands =
    (rows[0] as { major: string }).major < '14' ? standsBefore14 : `pg_get_wal_replay_pause_state() = 'paused'`
  const results = (await replica.query(
    `SELECT pg_wal_replay_pause();
     DO $wait$ BEGIN
       FOR i IN 1..300 LOOP
         PERFORM pg_stat_clear_snapshot();
         EXIT WHEN ${stands};
         PERFORM pg_sleep(0.01);
       END LOOP;
     END $wait$;
     COMMIT;
     BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
     SELECT pg_last_wal_replay_lsn() AS position, ${stands} AS stands;
     SELECT pg_wal_replay_resume()`,
  )) as unknown as { readonly rows: Record<string, string>[] }[]
  const row = results.flatMap((result) => result.rows).find((each) => each.position !== undefined)
  if (row?.stands !== 't') throw unusable(`${name} did not hold its replay for the moment that a snapshot takes.`)
  return parseLsn(row.position as string)
}

/** Servers before 14 say only that a pause was asked for; a replay that waits for its next record is at none. */
const standsBefore14 = `EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event IN ('RecoveryPause', 'RecoveryWalStream', 'RecoveryWalAll'))`

function unusable(message: string): ReplatformError {
  return new ReplatformError('postgresql.replica-unusable', { message })
}
