/** How much others ask of the source, and how far replicas of the target are behind. */
import type { Strain } from '@replatform/core/connector'
import { parseLsn } from './lsn.ts'
import type { Session } from './session.ts'

/** Ours are told by the name that each of them carries. */
const othersAtWork = `SELECT count(*) AS count FROM pg_stat_activity
  WHERE state = 'active' AND coalesce(backend_type, 'client backend') = 'client backend' AND pid <> pg_backend_pid()
    AND NOT starts_with(application_name, 'replatform ')`

/** Physical replicas only: who reads a slot of his own decoding is no replica. */
const replicas = `SELECT pg_current_wal_flush_lsn() AS written, min(r.replay_lsn) AS replayed FROM pg_stat_replication r
  WHERE r.state IN ('streaming', 'catchup') AND r.replay_lsn IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')`

interface Written {
  readonly at: number
  readonly lsn: bigint
}

/** More than the longest lag that anybody would allow. */
const remembered = 3_600

/**
 * The server's own `replay_lag` stays as it was when a replica replays nothing at all, so the lag is measured: it is the
 * age of the oldest position, of those seen here, that a replica has not replayed.
 */
export class StrainMeter {
  readonly #written: Written[] = []

  async read(source: Session, target: Session): Promise<Strain> {
    const sessions = await source.query(othersAtWork)
    const { rows } = await target.query(replicas)
    const { written, replayed } = rows[0] as { written: string; replayed: string | null }
    const sourceSessions = Number((sessions.rows[0] as { count: string }).count)
    return { sourceSessions, replicaLagMs: this.#lagMs(parseLsn(written), replayed && parseLsn(replayed)) }
  }

  #lagMs(written: bigint, replayed: bigint | null | ''): number | null {
    const now = performance.now()
    this.#written.push({ at: now, lsn: written })
    if (this.#written.length > remembered) this.#written.shift()
    if (replayed === null || replayed === '') return null
    while (this.#written.length > 0 && (this.#written[0] as Written).lsn <= replayed) this.#written.shift()
    const [oldest] = this.#written
    return oldest ? Math.round(now - oldest.at) : 0
  }
}
