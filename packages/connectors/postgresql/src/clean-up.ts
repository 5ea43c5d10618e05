import { setTimeout as sleep } from 'node:timers/promises'
import { dropPublication, dropSlot } from './change-stream.ts'
import { abandonFence, isFenced, sweepFence } from './fence.ts'
import type { FlowKey } from './flow-store.ts'
import { publicationsOf, removeCapture } from './schema-capture.ts'
import type { Session } from './session.ts'
import { releaseSnapshot } from './snapshot-keeper.ts'

/** Gives up the change stream of a flow, so that the source keeps no log for it. Idempotent. */
export async function endStream(source: Session, key: FlowKey): Promise<void> {
  await releaseSnapshot(source, key.move)
  await dropSlot(source, key)
  await dropPublication(source, key)
  const { rowCount } = await source.query(`SELECT FROM pg_publication WHERE pubname IN (${publicationsOf(key.move)})`)
  if (rowCount === 0) await removeCapture(source, key.move)
}

/**
 * Leaves nothing of ours on a side, except its fence: the refusing triggers need their function, so on a fenced side
 * only what is not part of the fence goes. One that was left half-way is lifted, since its schema remembers who could
 * connect.
 */
export async function dropControlSchema(session: Session, move: string): Promise<void> {
  const isStanding = await isFenced(session)
  if (!isStanding) await abandonFence({ session, move })
  await removeCapture(session, move)
  if (await servesOthers(session, move)) {
    await forgetMove(session, move)
  } else if (isStanding) {
    await session.query(`DROP TABLE IF EXISTS ${[...ownTables, 'decision'].map((name) => `replatform.${name}`).join(', ')};
      DROP FUNCTION IF EXISTS replatform.describe(oid)`)
  } else await dropSchema(session)
}

/** Their rows belong to a move. */
const ownTables = [
  'flow',
  'spool',
  'chunk',
  'table_start',
  'changed',
  'compared',
  'barrier',
  'shape',
  'definition',
  'definition_change',
]

/** Another move of the same database must not lose what it stands on. */
async function servesOthers(session: Session, move: string): Promise<boolean> {
  const streams = await session.query(
    `SELECT FROM pg_publication WHERE starts_with(pubname, 'replatform_') AND pubname NOT IN (${publicationsOf(move)})`,
  )
  if ((streams.rowCount ?? 0) > 0) return true
  const { rows } = await session.query(`SELECT to_regclass('replatform.flow') IS NOT NULL AS is_there`)
  if ((rows[0] as { is_there: string }).is_there !== 't') return false
  const flows = await session.query('SELECT FROM replatform.flow WHERE move <> $1', [move])
  return (flows.rowCount ?? 0) > 0
}

async function forgetMove(session: Session, move: string): Promise<void> {
  for (const name of ownTables) await session.query(`DELETE FROM replatform.${name} WHERE move = $1`, [move])
}

const patienceMs = 10 * 60_000

/**
 * A table that somebody reads for long keeps our idle trigger, and dropping it would wait for the reader with everybody
 * else behind it. So it is tried for a moment, again and again.
 */
async function dropSchema(session: Session): Promise<void> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    await sweepFence(session)
    const dropped = await session
      .query(`BEGIN; SET LOCAL lock_timeout = '100ms'; DROP SCHEMA IF EXISTS replatform CASCADE; COMMIT`)
      .then(() => true)
      .catch(async (thrown: { code?: string }) => {
        await session.query('ROLLBACK')
        if (thrown.code !== '55P03' || performance.now() > deadline) throw thrown
        return false
      })
    if (dropped) return
    await sleep(1_000)
  }
}
