import { ReplatformError } from '@replatform/core/errors'
import type { Session } from './session.ts'

/** Identifies the server whose log positions count: system identifier and timeline. */
export async function readSourceSystem(session: Session): Promise<string> {
  const { rows } = await session.query(
    `SELECT s.system_identifier || '/' || c.timeline_id AS id FROM pg_control_system() s, pg_control_checkpoint() c`,
  )
  return (rows[0] as { id: string }).id
}

/** Positions of one server mean nothing on another, nor on the same one after it was restored or failed over. */
export function requireSameSystem(expected: string, found: string): void {
  if (expected === found) return
  throw new ReplatformError('postgresql.timeline-changed', {
    message: `The source was system ${expected} when the move began and is ${found} now.`,
  })
}
