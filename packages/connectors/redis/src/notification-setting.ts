/** Whether a server tells of its keys, and how it is made to. */
import type { Log } from '@replatform/core/connector'
import type { Connection } from './connection.ts'
import { RedisReplyError } from './resp-reader.ts'

/** Events by their own channel, of every kind but misses and reads. */
const needed = 'EA'
const kinds = 'g$lshzxetd'

/** Null where the server does not say: a managed one has CONFIG for nobody. */
export async function readNotifications(connection: Connection): Promise<string | null> {
  const [reply] = await connection.pipeline([['CONFIG', 'GET', 'notify-keyspace-events']])
  return Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : null
}

function tellsAllWrites(setting: string): boolean {
  return setting.includes('E') && (setting.includes('A') || [...kinds].every((kind) => setting.includes(kind)))
}

/**
 * Makes the source tell, and keeps what was set before under `memory` on the other side, which nobody empties. Where
 * the server lets nobody set it, it is left to its parameter group.
 */
export async function enableNotifications(
  source: Connection,
  { on, memory, log }: { readonly on: Connection; readonly memory: string; readonly log: Log },
): Promise<void> {
  const before = await readNotifications(source)
  if (before === null || tellsAllWrites(before)) return
  await on.command('SELECT', 0)
  await on.command('SET', memory, before, 'NX')
  const [reply] = await source.pipeline([['CONFIG', 'SET', 'notify-keyspace-events', needed]])
  if (!(reply instanceof RedisReplyError)) return
  await on.command('DEL', memory)
  const { host, port } = source.place
  log.warn({ host, port }, 'Keyspace notifications cannot be switched on: the way back copies by passes only.')
}

/** Puts back what was there before. Idempotent. */
export async function restoreNotifications(source: Connection, on: Connection, memory: string): Promise<void> {
  await on.command('SELECT', 0)
  const before = await on.command('GET', memory)
  if (before === null) return
  await source.command('CONFIG', 'SET', 'notify-keyspace-events', before as Buffer)
  await on.command('DEL', memory)
}
