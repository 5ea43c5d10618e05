import { ReplatformError } from '@replatform/core/errors'
import { readSlot, requireSlot } from './change-stream.ts'
import type { FlowKey } from './flow-store.ts'
import type { Lsn } from './lsn.ts'
import { streamName } from './names.ts'
import type { Session } from './session.ts'

/**
 * A reader that died without a word keeps the slot until the server notices; its epoch is gone already, so it can be
 * ended. Returns what the source was told last: it keeps nothing before it.
 */
export async function takeSlot(source: Session, key: FlowKey): Promise<Lsn> {
  const name = streamName(key)
  for (let attempt = 0; attempt < 100; attempt++) {
    const slot = await readSlot(source, key)
    requireSlot(slot, key)
    if (!slot.isActive) return slot.confirmed ?? 0n
    await source.query(
      'SELECT pg_terminate_backend(active_pid), pg_sleep(0.1) FROM pg_replication_slots WHERE slot_name = $1 AND active',
      [name],
    )
  }
  throw new ReplatformError('connection.lost', { message: `Another process still reads the replication slot ${name}.` })
}

/** A sender that decodes for long sends nothing, but notes what it hears from us: we report every second. */
export function isStreamHeard(pid: number): (session: Session) => Promise<boolean> {
  return async (session) => {
    const { rowCount } = await session.query(
      `SELECT FROM pg_stat_replication WHERE pid = $1 AND reply_time > now() - interval '30 s'`,
      [pid],
    )
    return rowCount === 1
  }
}
