import { isCarried } from './catalog.ts'
import type { Fence } from './fence-sql.ts'
import type { Session } from './session.ts'

/** A session of somebody else in this database. */
export interface OtherSession {
  readonly pid: string
  readonly user: string
  readonly application: string
  /** Ending it takes a superuser, and we are none. */
  readonly isBeyondUs: boolean
}

interface Lookout extends Fence {
  readonly session: Session
}

/**
 * Everybody in this database but the mover's own sessions, streams of the change log (they write nothing, and those
 * who read them want the last of it) and the server's own workers. With `connectedBefore` only those that were here
 * before it; without the right to see that, all.
 *
 * A superuser's session that we cannot end counts for as long as it is in a transaction from before. The service's own
 * superuser on RDS never counts: its session there is part of the machine.
 */
export async function otherSessions(
  { session, move, moverRole, tables }: Lookout,
  connectedBefore?: string,
): Promise<OtherSession[]> {
  const { rows } = await session.query(
    `SELECT a.pid, a.usename AS user, a.application_name AS application,
       r.rolsuper AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS beyond
     FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
       AND coalesce(a.backend_type, 'client backend') <> 'walsender' AND a.usename <> 'rdsadmin'
       AND NOT (a.usename = $1 AND starts_with(a.application_name, left('replatform ' || $2 || ' ', 63)))
       AND coalesce(a.backend_start < $3, true) ${tables ? `AND ${connectedBefore ? holdsUnseen : holdsMoving}` : ''}
       AND (NOT r.rolsuper OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
         OR CASE WHEN a.backend_start IS NULL THEN true ELSE coalesce(a.xact_start < coalesce($3, now()), false) END)
     ORDER BY a.pid`,
    [moverRole, move, connectedBefore ?? null],
  )
  return (rows as Record<string, string>[]).map((row) => ({
    pid: row.pid as string,
    user: row.user as string,
    application: row.application as string,
    isBeyondUs: row.beyond === 't',
  }))
}

const locks = `SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'relation' AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** In the way of a trigger on a table that moves: has written to it, or defines it. */
const holdsMoving = `EXISTS (${locks} AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
  AND EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = l.relation AND ${isCarried}))`

/** Has made a table, or an index, that nobody else can see yet. */
const holdsUnseen = `EXISTS (${locks} AND l.mode = 'AccessExclusiveLock' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relation))`

/** Also stops vacuums of this database where we may: they hold the lock that a trigger needs. */
export async function endSessions({ session }: Lookout, others: readonly OtherSession[]): Promise<void> {
  const pids = others.filter((other) => !other.isBeyondUs).map((other) => other.pid)
  await session.query(
    `SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid
     UNION ALL
     SELECT pg_cancel_backend(pid) FROM pg_stat_activity
       WHERE backend_type = 'autovacuum worker' AND datname = current_database()
         AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`,
    [pids],
  )
}

/** For people; statements are left out, because they hold values. */
export function describeSessions(others: readonly OtherSession[]): string {
  const named = others.slice(0, 10).map(({ pid, user, application }) => {
    return application ? `${pid} (${user}, ${application})` : `${pid} (${user})`
  })
  return others.length > named.length
    ? `${named.join(', ')} and ${others.length - named.length} more`
    : named.join(', ')
}

export async function countPrepared(session: Session): Promise<number> {
  const { rows } = await session.query(
    'SELECT count(*) AS count FROM pg_prepared_xacts WHERE database = current_database()',
  )
  return Number((rows[0] as { count: string }).count)
}
