/**
 * The fence of a server before 6, which knows no users: it takes writes only while more replicas follow it than there
 * can be (`min-slaves-to-write`). Nobody writes then, the mover neither, so such a side cannot be gone back to.
 *
 * What was set before lies in the number of replicas, above `fenced`, so that undoing needs nothing else, and the turn in
 * the lag, which says nothing while no number of replicas is enough. So an unfencing cannot take off a later fence, in
 * whatever order they arrive; once a side is open it does not remember its turn, and a fence of it that begins late closes
 * the side, as if somebody had set `min-slaves-to-write`.
 *
 * Two things pass:
 * transactions that were queued before, which go with their connections, and scripts, which these servers do not ask.
 * So the calls of scripts are counted, and a cutover ends before its decision when there was one behind the barrier.
 */
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { rankOf } from '@replatform/core/fence-order'
import type { Connection } from './connection.ts'
import { endClients, type FenceTurn, isDue, isOurName } from './fence-turn.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError } from './resp-reader.ts'
import { parseInfo } from './server-info.ts'
import { transact } from './transaction.ts'

/** More replicas than anybody has. */
const fenced = 1_000_000
/** Room for what was set before: replicas below a thousand, and their lag in seconds up to three weeks. */
const room = { replicas: 1_000, lag: 2_000_000 }
/** Servers from 5 on understand these names as well. */
const count = 'min-slaves-to-write'
const lag = 'min-slaves-max-lag'

/** Idempotent. Rejects with `auth.missing-rights` where CONFIG is not to be had, and leaves the side as it was. */
export async function fenceByReplicas(turn: FenceTurn, log: Log): Promise<void> {
  const { connection, order } = turn
  const [before, lagBefore] = [await readNumber(connection, count), await readNumber(connection, lag)]
  const seen = before < fenced ? null : lagBefore
  isDue(turn, rankOfFence(seen))
  // Without a lag the count is not looked at.
  const settings: [string, number][] = [[lag, Math.max(order.turn + 1, seen ?? 0)]]
  if (seen === null) {
    const kept = Math.min(before, room.replicas - 1) + room.replicas * Math.min(lagBefore, room.lag)
    settings.push([count, fenced + kept])
  }
  await setTogether(connection, settings)
  await endClients(connection, ({ name }) => !isOurName(name))
  await persistSettings(connection, log)
}

/** Idempotent. */
export async function unfenceByReplicas(turn: FenceTurn, log: Log): Promise<void> {
  const { connection } = turn
  const [now, lagNow] = [await readNumber(connection, count), await readNumber(connection, lag)]
  if (now < fenced) return
  isDue(turn, rankOfFence(lagNow))
  const kept = now - fenced
  await setTogether(connection, [
    [count, kept % room.replicas],
    [lag, Math.floor(kept / room.replicas)],
  ])
  await persistSettings(connection, log)
}

/** The turn that a fence stands for, in its lag. */
function rankOfFence(lagOfFence: number | null): number | null {
  return lagOfFence === null ? null : rankOf({ verb: 'fence', turn: lagOfFence - 1 })
}

/** One of the two alone would open a side, or keep what was before from coming back. */
function setTogether(connection: Connection, settings: readonly (readonly [string, number])[]): Promise<void> {
  return transact(
    connection,
    settings.map(([name, value]) => ['CONFIG', 'SET', name, value]),
  )
}

/** Throws `redis.fence-lifted` where the settings are no longer those of the fence. */
export async function requireFencedByReplicas(connection: Connection): Promise<void> {
  const isFenced = (await readNumber(connection, count)) >= fenced && (await readNumber(connection, lag)) > 0
  if (isFenced) return
  const { side, host, port } = connection.place
  throw new ReplatformError('redis.fence-lifted', {
    message: `The ${side} ${host}:${port} takes writes although it was fenced: ${count} was set back.`,
  })
}

/** How often scripts were called since the server was started. */
export async function readScriptCalls(connection: Connection): Promise<number> {
  const fields = parseInfo(String(await connection.command('INFO', 'commandstats')))
  const calls = ['eval', 'evalsha'].map((name) => /calls=(\d+)/.exec(fields.get(`cmdstat_${name}`) ?? '')?.[1] ?? '0')
  return calls.reduce((sum, each) => sum + Number(each), 0)
}

async function readNumber(connection: Connection, name: string): Promise<number> {
  const reply = await connection.command('CONFIG', 'GET', name)
  return Number(Array.isArray(reply) ? String(reply[1]) : Number.NaN)
}

async function persistSettings(connection: Connection, log: Log): Promise<void> {
  const [rewritten] = await connection.pipeline([['CONFIG', 'REWRITE']])
  if (!(rewritten instanceof RedisReplyError)) return
  if (rewritten.code === 'NOPERM') throw toRedisError(rewritten, connection.place)
  const { side, host, port } = connection.place
  log.warn({ side, host, port }, 'The fence cannot be saved on this server: it would not survive a restart there.')
}
