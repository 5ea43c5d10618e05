import { dropPublication, dropSlot } from './change-stream.ts'
import { isFenced, unfenceSide } from './fence.ts'
import type { FlowKey } from './flow-store.ts'
import type { Session } from './session.ts'
import { releaseSnapshot } from './snapshot-keeper.ts'

/** Gives up the change stream of a flow, so that the source keeps no log for it. Idempotent. */
export async function endStream(source: Session, key: FlowKey): Promise<void> {
  await releaseSnapshot(source, key.move)
  await dropSlot(source, key)
  await dropPublication(source, key)
}

/**
 * Leaves nothing of ours on a side, except its fence: the refusing triggers need their function, so on a fenced side
 * only what is not part of the fence goes. One that was left half-way is lifted, since its schema remembers who could
 * connect.
 */
export async function dropControlSchema(session: Session, move: string): Promise<void> {
  if (!(await isFenced(session))) {
    await unfenceSide({ session, move })
    await session.query('DROP SCHEMA IF EXISTS replatform CASCADE')
    return
  }
  const tables = ['flow', 'chunk', 'table_start', 'changed', 'decision', 'barrier']
  await session.query(`DROP TABLE IF EXISTS ${tables.map((name) => `replatform.${name}`).join(', ')}`)
}
