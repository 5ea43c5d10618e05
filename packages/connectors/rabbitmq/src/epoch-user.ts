/**
 * The epoch of a mover is a user of the broker: every mover of a flow makes its own and deletes those before it. RabbitMQ
 * closes the connections of a deleted user, so a mover that slept gets no more confirmations and no more deliveries.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'
import type { BrokerAddress } from './address.ts'
import type { Permissions } from './definitions.ts'
import { type ManagementApi, segment } from './management-api.ts'

export interface EpochPlace {
  readonly api: ManagementApi
  readonly address: BrokerAddress
  readonly move: string
}

const goneWithinMs = 20_000

export function isEpochUser(user: string, move: string): boolean {
  return epochOf(user, move) !== null
}

/** The highest that stands on the broker; 0 when none does. */
export async function readEpoch({ api, move }: EpochPlace): Promise<number> {
  return Math.max(0, ...(await epochUsers(api, move)).map(({ epoch }) => epoch))
}

/**
 * Makes a user of that epoch and ends every other of the move. Returns the address to connect with; its password is known to
 * nobody else. Throws `epoch.superseded` when a higher one stands already.
 */
export async function takeEpoch(place: EpochPlace, epoch: number, permissions: Permissions): Promise<BrokerAddress> {
  const { api, address, move } = place
  // Movers that take the same epoch at once end each other: both must take another one.
  const user = `${prefixOf(move)}${epoch}.${randomBytes(4).toString('hex')}`
  const password = randomBytes(24).toString('base64url')
  // An impersonator may publish what carries the user id of another, which is refused (406) to everybody else.
  await api.put(`users/${segment(user)}`, { password, tags: 'impersonator' })
  await api.put(`permissions/${segment(address.vhost)}/${segment(user)}`, permissions)
  const others = (await epochUsers(api, move)).filter(({ name }) => name !== user)
  if (others.some((other) => other.epoch > epoch)) {
    await endUser(api, user)
    throw superseded(epoch)
  }
  for (const { name } of others) await endUser(api, name)
  return { ...address, user, password }
}

export async function removeEpochUsers({ api, move }: EpochPlace): Promise<void> {
  for (const { name } of await epochUsers(api, move)) await endUser(api, name)
}

export function superseded(epoch: number): ReplatformError {
  return new ReplatformError('epoch.superseded', { message: `Another mover has taken over from epoch ${epoch}.` })
}

async function epochUsers(api: ManagementApi, move: string): Promise<{ name: string; epoch: number }[]> {
  const users = await api.get<{ name: string }[]>('users')
  return users.flatMap(({ name }) => {
    const epoch = epochOf(name, move)
    return epoch === null ? [] : [{ name, epoch }]
  })
}

function epochOf(user: string, move: string): number | null {
  if (!user.startsWith(prefixOf(move))) return null
  const [, digits] = /^(\d+)\.[0-9a-f]{8}$/.exec(user.slice(prefixOf(move).length)) ?? []
  return digits === undefined ? null : Number(digits)
}

/** Deleting closes its connections a moment later; what is still open then is closed by name. */
async function endUser(api: ManagementApi, user: string): Promise<void> {
  const deadline = performance.now() + goneWithinMs
  const list = `connections/username/${segment(user)}`
  // The list is gone with the user, so the connections are closed first, and new ones cannot be opened.
  await api.put(`users/${segment(user)}`, { password_hash: '', tags: '' })
  for (;;) {
    const open = (await api.find<{ name: string }[]>(list)) ?? []
    if (open.length === 0) break
    for (const { name } of open) await api.remove(`connections/${segment(name)}`)
    if (performance.now() > deadline) {
      throw new ReplatformError('connection.timeout', {
        message: `${open.length} connections of ${user} would not end.`,
      })
    }
    await sleep(10)
  }
  await api.remove(`users/${segment(user)}`)
}

function prefixOf(move: string): string {
  return `replatform.${move}.`
}
