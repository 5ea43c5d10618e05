/**
 * The fence around one side: no user but the mover's may write there, or change who may.
 *
 * 1. CLIENT PAUSE WRITE holds writes for a moment, so that those in flight are answered or never carried out.
 * 2. In one transaction every other user loses the write and admin categories, except for what replicas need. Rights
 *    are looked at for every command, also of open connections, queued transactions and scripts. What a user might call before is kept as a *shadow*: a
 *    user of the same command rules that nobody can log in as. So the fence and its undoing lie in the same place, are
 *    saved together, and need no other side.
 * 3. The connections of others are closed, so that clients look for the new side.
 *
 * Before that it closes what earlier fences and unfencings of the move may still have under way, and gives up where a
 * later one has been: see fence-turn.ts.
 *
 * CLIENT PAUSE alone is no fence: it opens by itself.
 */
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { type FenceLimits, type FenceOrder, rankAfter } from '@replatform/core/fence-order'
import { commandRules, mayWrite, readCategories, readUsers, replicaRights, type User } from './acl-rules.ts'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { endClients, type FenceTurn, inTurn, isDue } from './fence-turn.ts'
import { fenceByReplicas, requireFencedByReplicas, unfenceByReplicas } from './replica-fence.ts'
import { RedisReplyError } from './resp-reader.ts'
import { transact } from './transaction.ts'

export interface FenceOptions extends FenceLimits {
  /** To the side that is meant, as the mover's user. */
  readonly connection: Connection
  readonly move: string
  readonly log: Log
  /** Told before a server is closed that was open. */
  readonly onRaise?: () => void
}

type UnfenceOptions = Omit<FenceOptions, 'withinMs' | 'onRaise'>

const fencedRules = ['-@write', '-@admin']

/**
 * Idempotent: on a side that is fenced already it fences users that were made since. Rejects with `redis.shared-user`
 * or `auth.missing-rights` and leaves the side as it was; with `connection.lost` or `fence.superseded` when a later fence
 * or unfencing of the same move took its place (see fence-turn.ts).
 */
export function fenceSide(options: FenceOptions): Promise<void> {
  const turn = turnOf(options, 'fence')
  return inTurn(turn, () => raiseFence(options, turn))
}

/** Gives every user back what it had. Idempotent, also after a fencing that died half-way. */
export function unfenceSide(options: UnfenceOptions): Promise<void> {
  const turn = turnOf(options, 'unfence')
  return inTurn(turn, () => liftFence(options, turn))
}

/** Takes back a fencing that failed; the same turn may fence again. */
export function withdrawFence(options: UnfenceOptions): Promise<void> {
  const turn = turnOf(options, 'fence')
  return inTurn(turn, () => liftFence(options, turn))
}

function turnOf({ connection, move, turn }: UnfenceOptions, verb: FenceOrder['verb']): FenceTurn {
  return { connection, move, order: { verb, turn } }
}

async function raiseFence(options: FenceOptions, turn: FenceTurn): Promise<void> {
  const { connection, move, withinMs, log, onRaise } = options
  if (!(await hasUsers(connection))) return fenceByReplicas(turn, log)
  const me = await whoAmI(connection)
  await requireOwnUser(connection, me)
  const markers = await readMarkers(turn)
  const open = await readOpenUsers(connection, me)
  if (open.length > 0) {
    const pauseMs = Math.max(Math.round(withinMs), 1)
    await connection.command('CLIENT', 'PAUSE', pauseMs, 'WRITE')
    try {
      onRaise?.()
      await transact(connection, [...markers.commands, ...open.flatMap((user) => fenceCommands(user, move))])
      await endClients(connection, (client) => client.user !== me)
    } finally {
      await connection.command('CLIENT', 'UNPAUSE')
    }
  } else {
    await transact(connection, markers.commands)
  }
  await persist(connection, log)
}

async function liftFence({ connection, move, log }: UnfenceOptions, turn: FenceTurn): Promise<void> {
  if (!(await hasUsers(connection))) return unfenceByReplicas(turn, log)
  const markers = await readMarkers(turn)
  if (!markers.isDue) return
  const shadows = (await readUsers(connection)).filter(({ name }) => name.startsWith(shadowOf('', move)))
  const commands = [...markers.commands, ...shadows.flatMap((shadow) => unfenceCommands(shadow, move))]
  if (commands.length === 0) return
  await transact(connection, commands)
  await persist(connection, log)
}

/** For when the move is over. On a side that stays fenced the turn is part of the fence. */
export async function forgetTurns({ connection, move, log }: Omit<UnfenceOptions, 'turn'>): Promise<void> {
  if (!(await hasUsers(connection))) return
  const names = (await readUsers(connection)).map(({ name }) => name)
  const markers = names.filter((name) => name.startsWith(markerOf('', move)))
  if (markers.length === 0 || names.some((name) => name.startsWith(shadowOf('', move)))) return
  await connection.command('ACL', 'DELUSER', ...markers)
  await persist(connection, log)
}

/** What makes the server remember this turn, and no older one. Throws `fence.superseded`. */
async function readMarkers(turn: FenceTurn): Promise<{ readonly isDue: boolean; readonly commands: Argument[][] }> {
  const { connection, move, order } = turn
  const names = (await readUsers(connection)).map(({ name }) => name)
  const ranks = names.filter((name) => name.startsWith(markerOf('', move))).map(rankOfMarker)
  const seen = ranks.length === 0 ? null : Math.max(...ranks)
  const now = rankAfter(order, seen)
  const older = ranks.filter((rank) => rank < now).map((rank) => ['ACL', 'DELUSER', markerOf(rank, move)])
  const mark = now === seen ? [] : [['ACL', 'SETUSER', markerOf(now, move), 'reset']]
  return { isDue: isDue(turn, seen), commands: [...mark, ...older] }
}

/** Throws `redis.fence-lifted` where somebody but the mover could write. */
export async function requireFenced(connection: Connection): Promise<void> {
  if (!(await hasUsers(connection))) return requireFencedByReplicas(connection)
  const open = await readOpenUsers(connection, await whoAmI(connection))
  if (open.length === 0) return
  const { side, host, port } = connection.place
  throw new ReplatformError('redis.fence-lifted', {
    message: `${open.length} users may write on the ${side} ${host}:${port} although it was fenced.`,
  })
}

/** Servers before 6 have none. */
export async function hasUsers(connection: Connection): Promise<boolean> {
  const [me] = await connection.pipeline([['ACL', 'WHOAMI']])
  return !(me instanceof RedisReplyError && /unknown command/i.test(me.message))
}

async function whoAmI(connection: Connection): Promise<string> {
  return String(await connection.command('ACL', 'WHOAMI'))
}

/** Users of other people who can write, with or without a fence that was meant to keep them from it. */
async function readOpenUsers(connection: Connection, me: string): Promise<OpenUser[]> {
  const users = await readUsers(connection)
  const names = new Set(users.map((user) => user.name))
  const others = users.filter(({ name }) => name !== me && !name.startsWith(shadowPrefix))
  const categories = await readCategories(connection, others)
  return others
    .filter((user) => mayWrite(user, categories))
    .map((user) => ({
      user,
      hasShadow: (move: string) => names.has(shadowOf(user.name, move)),
      replicaRights: replicaRights(user, categories),
    }))
}

interface OpenUser {
  readonly user: User
  readonly hasShadow: (move: string) => boolean
  /** Kept: a fenced side goes on feeding its replicas, which may be this user. */
  readonly replicaRights: readonly string[]
}

const shadowPrefix = 'replatform-fence:'
const markerPrefix = 'replatform-turn:'

function markerOf(rank: number | '', move: string): string {
  return `${markerPrefix}${move}:${rank}`
}

function rankOfMarker(name: string): number {
  return Number(name.slice(name.lastIndexOf(':') + 1))
}

function shadowOf(user: string, move: string): string {
  return `${shadowPrefix}${move}:${user}`
}

/** A shadow that stands already holds what the user had before the first fence, and stays as it is. */
function fenceCommands({ user, hasShadow, replicaRights }: OpenUser, move: string): Argument[][] {
  const kept = replicaRights.map((command) => `+${command}`)
  const fence = ['ACL', 'SETUSER', user.name, 'clearselectors', ...fencedRules, ...kept]
  if (hasShadow(move)) return [fence]
  return [['ACL', 'SETUSER', shadowOf(user.name, move), 'reset', ...commandRules(user)], fence]
}

/** Passwords, keys and channels were never touched. */
function unfenceCommands(shadow: User, move: string): Argument[][] {
  const name = shadow.name.slice(shadowOf('', move).length)
  return [
    ['ACL', 'SETUSER', name, 'clearselectors', 'nocommands', ...commandRules(shadow)],
    ['ACL', 'DELUSER', shadow.name],
  ]
}

/** Applications on the mover's user would pass the fence. A replica's link is no client. */
async function requireOwnUser(connection: Connection, me: string): Promise<void> {
  if (me !== 'default') return
  throw new ReplatformError('redis.shared-user', {
    message: `The mover is the user default on the ${connection.place.side}, whom everybody is who names no other.`,
  })
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
