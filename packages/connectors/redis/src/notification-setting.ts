/** Whether a server tells of its keys, and how it is made to. */
import type { Log } from '@replatform/core/connector'
import { parseAddress } from './address.ts'
import type { Connection } from './connection.ts'
import type { FlowSides } from './flow-sides.ts'
import { RedisReplyError } from './resp-reader.ts'
import type { SlotLayout } from './slot-layout.ts'
import { allServers, urlsOf } from './topology.ts'

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

export interface NotificationSettingsOptions {
  readonly sides: FlowSides
  readonly sourceUrl: string
  readonly log: Log
}

/** Of the servers of a flow's source, replicas too: each has its own, and one of them may take over. */
export class NotificationSettings {
  readonly #options: NotificationSettingsOptions

  constructor(options: NotificationSettingsOptions) {
    this.#options = options
  }

  /** The least of what those that take writes are set to; null where one does not say. */
  async read(): Promise<string | null> {
    const { sides } = this.#options
    const { shards } = await sides.topology('source')
    const settings = await sides.source.each(urlsOf(shards), readNotifications)
    return settings.includes(null) ? null : settings.includes('') ? '' : (settings[0] ?? '')
  }

  async enable(url: string): Promise<void> {
    const { sides, log } = this.#options
    await this.#each(
      [url],
      (source, on, memory) => enableNotifications(source, { on, memory, log }),
      await sides.layout(),
    )
  }

  async enableAll(): Promise<void> {
    const { sides, log } = this.#options
    const servers = allServers(await sides.topology('source'))
    await this.#each(servers, (source, on, memory) => enableNotifications(source, { on, memory, log }))
  }

  async restoreAll(): Promise<void> {
    await this.#each(allServers(await this.#options.sides.topology('source')), restoreNotifications)
  }

  async #each(
    servers: readonly string[],
    work: (source: Connection, on: Connection, memory: string) => Promise<void>,
    known?: SlotLayout,
  ): Promise<void> {
    const { sides, sourceUrl } = this.#options
    const layout = known ?? (await sides.layout())
    const { notifications } = layout.flowKeys
    await sides.source.each(servers, (source, index) => {
      const url = servers[index] as string
      const isNamed = !layout.isSpread && url === sourceUrl
      const memory = isNamed ? notifications : `${notifications}:${placeOf(url)}`
      return sides.target.use(layout.urlOf(notifications), (on) => work(source, on, memory))
    })
  }
}

function placeOf(url: string): string {
  const { host, port } = parseAddress(url)
  return `${host}:${port}`
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
