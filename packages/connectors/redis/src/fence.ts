/**
 * The fence around one side: no user but the mover's may write there, or change who may.
 *
 * 1. CLIENT PAUSE WRITE holds writes for a moment, so that those in flight are answered or never carried out.
 * 2. In one transaction every other user loses the write and admin categories. Rights are looked at for every command,
 *    also of open connections, queued transactions and scripts. What a user had before is kept as a *shadow*: a user
 *    of the same rules that nobody can log in as. So the fence and its undoing lie in the same place, are saved
 *    together, and need no other side.
 * 3. The connections of others are closed, so that clients look for the new side.
 *
 * CLIENT PAUSE alone is no fence: it opens by itself.
 */
import { createHash } from 'node:crypto'
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError, type RespValue } from './resp-reader.ts'

export interface FenceOptions {
  /** To the side that is meant, as the mover's user. */
  readonly connection: Connection
  readonly move: string
  readonly withinMs: number
  readonly log: Log
}

const fencedRules = ['-@write', '-@admin', 'clearselectors']

/**
 * Idempotent: on a side that is fenced already it fences users that were made since. Rejects with `redis.shared-user`
 * or `auth.missing-rights` and leaves the side as it was.
 */
export async function fenceSide({ connection, move, withinMs, log }: FenceOptions): Promise<void> {
  const me = await whoAmI(connection)
  const users = await readUsers(connection)
  const open = usersToFence(users, me, move)
  await requireOwnUser(connection, me)
  if (open.length > 0) {
    const pauseMs = Math.max(Math.round(withinMs), 1)
    await connection.command('CLIENT', 'PAUSE', pauseMs, 'WRITE')
    try {
      await transact(
        connection,
        open.flatMap((user) => fenceCommands(user, move)),
      )
      await closeOthers(connection, me)
    } finally {
      await connection.command('CLIENT', 'UNPAUSE')
    }
  }
  await persist(connection, log)
}

/** Gives every user back what it had. Idempotent, also after a fencing that died half-way. */
export async function unfenceSide({ connection, move, log }: Omit<FenceOptions, 'withinMs'>): Promise<void> {
  const users = await readUsers(connection)
  const shadows = users.filter((user) => isShadow(user, move))
  if (shadows.length === 0) return
  await transact(
    connection,
    shadows.flatMap((shadow) => unfenceCommands(shadow, move)),
  )
  await persist(connection, log)
}

/** Throws `redis.fence-lifted` where somebody but the mover could write. */
export async function requireFenced(connection: Connection, move: string): Promise<void> {
  const me = await whoAmI(connection)
  const open = usersToFence(await readUsers(connection), me, move)
  if (open.length === 0) return
  const { side, host, port } = connection.place
  throw new ReplatformError('redis.fence-lifted', {
    message: `${open.length} users may write on the ${side} ${host}:${port} although it was fenced.`,
  })
}

interface User {
  readonly name: string
  readonly rules: readonly string[]
}

async function whoAmI(connection: Connection): Promise<string> {
  return String(await connection.command('ACL', 'WHOAMI'))
}

async function readUsers(connection: Connection): Promise<User[]> {
  const list = (await connection.command('ACL', 'LIST')) as RespValue[]
  return list.map((line) => parseUser(String(line)))
}

/** `user name on #hash ~* &* +@all (selector with spaces)`. */
export function parseUser(line: string): User {
  const [, name = '', ...rules] = line.match(/\([^)]*\)|[^ ]+/g) ?? []
  return { name, rules }
}

function usersToFence(users: readonly User[], me: string, move: string): User[] {
  return users.filter((user) => user.name !== me && !user.name.startsWith(shadowPrefix) && !isFenced(user, users, move))
}

/** Rules apply in their order: nothing may be allowed again after what the fence took away. */
function isFenced(user: User, users: readonly User[], move: string): boolean {
  const hasShadow = users.some(({ name }) => name === shadowOf(user.name, move))
  const isHarmless = !user.rules.some((rule) => rule.startsWith('+') || rule === 'allcommands' || rule.startsWith('('))
  if (isHarmless) return true
  if (!hasShadow || user.rules.some((rule) => rule.startsWith('('))) return false
  const taken = user.rules.lastIndexOf('-@write')
  return taken >= 0 && user.rules.slice(taken + 1).every((rule) => !rule.startsWith('+'))
}

const shadowPrefix = 'replatform-fence:'

/** A name may hold what a rule may not, and the shadow must say whose it is: so it is the name, after the move's. */
function shadowOf(user: string, move: string): string {
  return `${shadowPrefix}${move}:${user}`
}

function isShadow({ name }: User, move: string): boolean {
  return name.startsWith(shadowOf('', move))
}

function fenceCommands({ name, rules }: User, move: string): Argument[][] {
  const kept = rules.filter((rule) => rule !== 'on')
  // `off` is a shadow's own state, so that what the user had is told by a password that fits nobody.
  const wasOn = rules.includes('on') ? [`#${onMark}`] : []
  return [
    ['ACL', 'SETUSER', shadowOf(name, move), 'reset', ...kept.filter((rule) => rule !== 'off'), ...wasOn, 'off'],
    ['ACL', 'SETUSER', name, ...fencedRules],
  ]
}

const onMark = createHash('sha256').update('replatform: this user was on').digest('hex')

function unfenceCommands({ name: shadow, rules }: User, move: string): Argument[][] {
  const name = shadow.slice(shadowOf('', move).length)
  const isOn = rules.includes(`#${onMark}`)
  const own = rules.filter((rule) => rule !== `#${onMark}` && rule !== 'off' && rule !== 'on')
  return [
    ['ACL', 'SETUSER', name, 'reset', ...own, isOn ? 'on' : 'off'],
    ['ACL', 'DELUSER', shadow],
  ]
}

async function transact(connection: Connection, commands: readonly Argument[][]): Promise<void> {
  const replies = await connection.pipeline([['MULTI'], ...commands, ['EXEC']])
  const outcome = replies.at(-1)
  const answers = Array.isArray(outcome) ? outcome : []
  const failed = [...replies, ...answers].find((reply) => reply instanceof RedisReplyError)
  if (failed) throw toRedisError(failed, connection.place)
}

/** Applications on the mover's user would pass the fence. A replica's link is no client. */
async function requireOwnUser(connection: Connection, me: string): Promise<void> {
  if (me !== 'default') return
  throw new ReplatformError('redis.shared-user', {
    message: `The mover is the user default on the ${connection.place.side}, whom everybody is who names no other.`,
  })
}

async function closeOthers(connection: Connection, me: string): Promise<void> {
  const list = String(await connection.command('CLIENT', 'LIST'))
  const others = list
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => new Map(line.split(' ').map((field) => field.split('=', 2) as [string, string])))
    .filter((client) => client.get('user') !== me && !/[SMO]/.test(client.get('flags') ?? ''))
  await connection.pipeline(others.map((client) => ['CLIENT', 'KILL', 'ID', client.get('id') ?? '']))
}

/** Where neither is to be had a restart lifts the fence: it is looked at again before the decision. */
async function persist(connection: Connection, log: Log): Promise<void> {
  const [saved] = await connection.pipeline([['ACL', 'SAVE']])
  if (!(saved instanceof RedisReplyError)) return
  const [rewritten] = await connection.pipeline([['CONFIG', 'REWRITE']])
  if (!(rewritten instanceof RedisReplyError)) return
  const { side, host, port } = connection.place
  log.warn({ side, host, port }, 'The fence cannot be saved on this server: it would not survive a restart there.')
}
