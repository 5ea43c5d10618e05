/**
 * The fence of a server before 6, which knows no users: it takes writes only while more replicas follow it than there
 * can be (`min-slaves-to-write`). Nobody writes then, the mover neither, so such a side cannot be gone back to.
 *
 * What was set before lies in the setting itself, above `fenced`, so that undoing needs nothing else. Two things pass:
 * transactions that were queued before, which go with their connections, and scripts, which these servers do not ask.
 * So the calls of scripts are counted, and a cutover ends before its decision when there was one behind the barrier.
 */
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import type { Connection } from './connection.ts'
import { endClients, isOurName } from './fence-turn.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError } from './resp-reader.ts'
import { parseInfo } from './server-info.ts'

/** More replicas than anybody has. */
const fenced = 1_000_000
/** Servers from 5 on understand these names as well. */
const count = 'min-slaves-to-write'
const lag = 'min-slaves-max-lag'

/** Idempotent. Rejects with `auth.missing-rights` where CONFIG is not to be had, and leaves the side as it was. */
export async function fenceByReplicas(connection: Connection, log: Log): Promise<void> {
  const [before, lagBefore] = [await readNumber(connection, count), await readNumber(connection, lag)]
  // Without a lag the count is not looked at.
  if (lagBefore === 0) await connection.command('CONFIG', 'SET', lag, fenced)
  if (before < fenced) await connection.command('CONFIG', 'SET', count, fenced + before)
  await endClients(connection, (client) => !isOurName(client.get('name') ?? ''))
  await persistSettings(connection, log)
}

/** Idempotent. */
export async function unfenceByReplicas(connection: Connection, log: Log): Promise<void> {
  const [now, lagNow] = [await readNumber(connection, count), await readNumber(connection, lag)]
  if (now < fenced) return
  await connection.command('CONFIG', 'SET', count, now - fenced)
  if (lagNow === fenced) await connection.command('CONFIG', 'SET', lag, 0)
  await persistSettings(connection, log)
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
