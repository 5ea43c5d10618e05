import { ReplatformError } from '@replatform/core/errors'
import type { Session } from './session.ts'

/** Identifies the server whose log positions count: system identifier and timeline. */
export async function readSourceSystem(session: Session): Promise<string> {
  // The control file names a new timeline only after the first checkpoint on it; the log's files do at once.
  const { rows } = await session.query(
    `SELECT system_identifier AS id, pg_is_in_recovery() AS standby,
       CASE WHEN NOT pg_is_in_recovery() THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END AS timeline
     FROM pg_control_system()`,
  )
  const { id, standby, timeline } = rows[0] as { id: string; standby: string; timeline: string }
  if (standby === 't') {
    throw new ReplatformError('postgresql.source-standby', {
      message: 'The source is a standby, or still recovers: it has no change stream now.',
    })
  }
  return `${id}/${timeline}`
}

/** Positions of one server mean nothing on another, nor on the same one after it was restored or failed over. */
export function requireSameSystem(expected: string, found: string): void {
  if (expected === found) return
  throw new ReplatformError('postgresql.timeline-changed', {
    message: `The source was system ${expected} when the move began and is ${found} now.`,
  })
}
