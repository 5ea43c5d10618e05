/**
 * The fence of a virtual host. Permissions alone do not hold: a channel that is busy goes on publishing, confirmed, for
 * as long as it likes. So they are taken first, then every connection but ours is closed, and the list is read until it
 * is empty. The list is that of each user, which RabbitMQ keeps at once; the list of the virtual host lags by seconds.
 *
 * The broker has no transaction over its parameters and permissions. So the newest turn stands in a parameter, and is
 * looked at anew before each permission is given or taken: of an order that comes late at most the one request that is
 * under way when a later turn begins can still be carried out. The later fence, which lists permissions and connections
 * to its end, and looks again at the barrier, meets it there.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { type FenceLimits, type FenceOrder, isOrderDue, rankAfter } from '@replatform/core/fence-order'
import type { ControlParameters } from './control-parameters.ts'
import type { Permissions } from './definitions.ts'
import { type ManagementApi, segment } from './management-api.ts'

export interface FencePlace {
  readonly api: ManagementApi
  readonly parameters: ControlParameters
  readonly vhost: string
  /** The mover's own users stay. */
  readonly isOurs: (user: string) => boolean
  readonly log?: Log
}

/** Who had which permissions when the fence was raised. Written before the first is taken. */
interface FenceRecord {
  readonly permissions: Readonly<Record<string, Permissions>>
}

const recordName = 'fence'
/** The rank of the newest order; see fence-order.ts. */
const turnName = 'turn'

/** Rejects with `fence.superseded` where a later turn has been there. */
export async function fenceVhost(place: FencePlace, { withinMs, turn }: FenceLimits): Promise<void> {
  const deadline = performance.now() + withinMs
  const order: FenceOrder = { verb: 'fence', turn }
  await takeTurn(place, order)
  const taken = await permissionsOfOthers(place)
  await remember(place, taken)
  for (const user of Object.keys(taken)) {
    await isDue(place, order)
    await removePermissions(place, user)
  }
  await letConsumersFinish(place, performance.now() + withinMs / 4)
  await closeConnections(place, deadline, order)
}

/** Gives back what the fence took, and what was withheld. Rejects with `fence.superseded` where a later fence stands. */
export async function unfenceVhost(place: FencePlace, { turn }: Pick<FenceLimits, 'turn'>): Promise<void> {
  const order: FenceOrder = { verb: 'unfence', turn }
  if (await takeTurn(place, order)) await giveBack(place, order)
}

async function giveBack(place: FencePlace, order: FenceOrder): Promise<void> {
  const record = await place.parameters.read<FenceRecord>(recordName)
  if (record) {
    const users = new Set((await place.api.get<{ name: string }[]>('users')).map(({ name }) => name))
    for (const [user, permissions] of Object.entries(record.permissions)) {
      if (!(await isDue(place, order))) return
      if (users.has(user)) await setPermissions(place, user, permissions)
    }
  }
  if (await isDue(place, order)) await place.parameters.remove(recordName)
}

/** Makes the broker remember the turn. False where there is nothing to do. Throws `fence.superseded`. */
async function takeTurn(place: FencePlace, order: FenceOrder): Promise<boolean> {
  const { parameters } = place
  const seen = await parameters.read<number>(turnName)
  if (!isOrderDue(order, seen, nameOf(place))) return false
  const rank = rankAfter(order, seen)
  if (rank !== seen) await parameters.write(turnName, rank)
  return true
}

async function isDue(place: FencePlace, order: FenceOrder): Promise<boolean> {
  return isOrderDue(order, await place.parameters.read<number>(turnName), nameOf(place))
}

function nameOf({ vhost }: FencePlace): string {
  return `the virtual host ${vhost}`
}

/** What the fence will give back to these users, without taking anything. */
export async function withhold(
  { parameters }: FencePlace,
  permissions: Readonly<Record<string, Permissions>>,
): Promise<void> {
  const before = await parameters.read<FenceRecord>(recordName)
  await parameters.write(recordName, { permissions: { ...before?.permissions, ...permissions } } satisfies FenceRecord)
}

export async function isVhostFenced(place: FencePlace): Promise<boolean> {
  return (await place.parameters.read<FenceRecord>(recordName)) !== null
}

export async function requireVhostFenced(place: FencePlace): Promise<void> {
  const admitted = Object.keys(await permissionsOfOthers(place))
  const open = await connectionsOfOthers(place)
  if (admitted.length === 0 && open.length === 0 && (await isVhostFenced(place))) return
  throw new ReplatformError('fence.not-held', {
    message: `The virtual host ${place.vhost} is not closed: ${counted(admitted, 'users with permissions')}, ${counted(open, 'connections')}.`,
  })
}

/** The first few by name: they tell who it is. */
function counted(names: readonly string[], what: string): string {
  const shown = names.slice(0, 3).join(', ')
  return shown === '' ? `no ${what}` : `${names.length} ${what} (${shown}${names.length > 3 ? ', …' : ''})`
}

export async function setPermissions(place: FencePlace, user: string, permissions: Permissions): Promise<void> {
  const { configure, write, read } = permissions
  await place.api.put(`permissions/${segment(place.vhost)}/${segment(user)}`, { configure, write, read })
}

export async function removePermissions({ api, vhost }: FencePlace, user: string): Promise<void> {
  await api.remove(`permissions/${segment(vhost)}/${segment(user)}`)
}

/** A fence that is raised twice, by a mover that was killed in between, must not forget what the first one took. */
async function remember({ parameters }: FencePlace, taken: FenceRecord['permissions']): Promise<void> {
  const before = await parameters.read<FenceRecord>(recordName)
  await parameters.write(recordName, { permissions: { ...taken, ...before?.permissions } } satisfies FenceRecord)
}

async function permissionsOfOthers({ api, vhost, isOurs }: FencePlace): Promise<Record<string, Permissions>> {
  const all = await api.get<({ user: string } & Permissions)[]>(`vhosts/${segment(vhost)}/permissions`)
  const others = all.filter(({ user }) => !isOurs(user))
  return Object.fromEntries(others.map(({ user, configure, write, read }) => [user, { configure, write, read }]))
}

/**
 * Producers first; then those that consume may acknowledge what they hold, as far as the management's figures show it
 * (they lag by seconds). What is left then comes again on the other side, and the consumer may have worked on it.
 */
async function letConsumersFinish(place: FencePlace, deadline: number): Promise<void> {
  if ((await unacknowledged(place)) === 0) return
  const all = await place.api.get<{ channel_details?: { connection_name?: string; user?: string } }[]>(
    `consumers/${segment(place.vhost)}`,
  )
  const consumers = all.filter(({ channel_details: channel }) => !place.isOurs(channel?.user ?? ''))
  // Consumers have gone before: what is unacknowledged is in our own hands, and crosses in the drain.
  if (consumers.length === 0) return
  const consuming = new Set(consumers.map(({ channel_details: channel }) => channel?.connection_name))
  const producers = (await connectionsOfOthers(place)).filter((name) => !consuming.has(name))
  for (const name of producers) await place.api.remove(`connections/${segment(name)}`)
  let left = 1
  while (left > 0 && performance.now() < deadline) {
    await sleep(50)
    left = await unacknowledged(place)
  }
  if (left > 0) {
    place.log?.warn(
      { vhost: place.vhost, unacknowledged: left },
      'Consumers still held messages when they were closed; these are delivered again on the other side.',
    )
  }
}

async function unacknowledged({ api, vhost }: FencePlace): Promise<number> {
  const queues = await api.get<{ messages_unacknowledged?: number }[]>(
    `queues/${segment(vhost)}?columns=messages_unacknowledged`,
  )
  return queues.reduce((sum, queue) => sum + (queue.messages_unacknowledged ?? 0), 0)
}

async function closeConnections(place: FencePlace, deadline: number, order: FenceOrder): Promise<void> {
  for (let emptyLists = 0; emptyLists < 2; ) {
    const open = await connectionsOfOthers(place)
    emptyLists = open.length === 0 ? emptyLists + 1 : 0
    for (const name of open) await place.api.remove(`connections/${segment(name)}`)
    if (emptyLists === 2) return
    if (performance.now() > deadline) {
      await giveBack(place, order)
      throw new ReplatformError('fence.timeout', {
        message: `${open.length} connections to the virtual host ${place.vhost} were still open when the time was over.`,
      })
    }
    await sleep(10)
  }
}

async function connectionsOfOthers({ api, vhost, isOurs }: FencePlace): Promise<string[]> {
  const users = await api.get<{ name: string }[]>('users')
  const others = users.filter(({ name }) => !isOurs(name))
  const lists = await Promise.all(
    others.map(({ name }) => api.find<{ name: string; vhost: string }[]>(`connections/username/${segment(name)}`)),
  )
  return lists
    .flatMap((list) => list ?? [])
    .filter((one) => one.vhost === vhost)
    .map((one) => one.name)
}
