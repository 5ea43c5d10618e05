/** Both sides of a move of which at least one is a cluster, and a mover in this process. */
import type { Log, Mover } from '@replatform/core/connector'
import type { Direction } from '@replatform/core/move'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from '@replatform/testkit/redis-cluster'
import { type RedisOptions, type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import type { Argument } from '../command-buffer.ts'
import { type Connection, openConnection } from '../connection.ts'
import { keySlot } from '../key-slot.ts'
import { redisRoute } from '../route.ts'
import { readTopology } from '../topology.ts'
import { appUser, type Following, moverUser } from './move-rig.ts'

type SideOptions = { readonly cluster: RedisClusterOptions } | { readonly server: RedisOptions }

export interface SlotRig extends AsyncDisposable {
  readonly source: readonly RedisServer[]
  readonly target: readonly RedisServer[]
  readonly clusters: { readonly source: RedisCluster | null; readonly target: RedisCluster | null }
  readonly urls: { readonly source: string; readonly target: string }
  /** As an application, on whichever servers make up the side. */
  openApp(side: 'source' | 'target'): Promise<SlotClient>
  createMover(direction?: Direction, urls?: SlotRig['urls'], log?: Log): Mover
}

export async function startSlotRig(options: { source: SideOptions; target: SideOptions }): Promise<SlotRig> {
  await using stack = new AsyncDisposableStack()
  const acl = [moverUser, appUser]
  const start = async (side: SideOptions) => {
    const settings = { 'repl-backlog-size': '64mb' }
    if ('server' in side) {
      const server = stack.use(await startRedis({ acl, settings, ...side.server }))
      return { cluster: null, servers: [server] }
    }
    const cluster = stack.use(await startRedisCluster({ acl, settings, ...side.cluster }))
    return { cluster, servers: cluster.primaries }
  }
  const [ours, theirs] = await Promise.all([start(options.source), start(options.target)])
  const url = (servers: readonly RedisServer[]) => (servers[0] as RedisServer).url('mover', 'mover-secret')
  const urls = { source: url(ours.servers), target: url(theirs.servers) }
  const serviceOf = (side: SideOptions) =>
    'cluster' in side && side.cluster.flavour === 'elasticache' ? 'elasticache' : undefined
  const services = { source: serviceOf(options.source), target: serviceOf(options.target) }
  const endpoint = (side: 'source' | 'target', at: string) =>
    ({ kind: 'redis', url: at, service: services[side] }) as const
  const all = stack.move()
  return {
    source: ours.servers,
    target: theirs.servers,
    clusters: { source: ours.cluster, target: theirs.cluster },
    urls,
    openApp: (side) => SlotClient.open((side === 'source' ? ours : theirs).servers[0]?.url('app', 'app-secret') ?? ''),
    createMover: (direction = 'forward', { source, target } = urls, log = silent) => {
      const [old, fresh] = [endpoint('source', source), endpoint('target', target)]
      const sides = direction === 'forward' ? { source: old, target: fresh } : { source: fresh, target: old }
      return redisRoute.open({ move: 'cache', direction, ...sides, tools: {}, workers: 1, log })
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

const silent: Log = { info() {}, warn() {}, error() {} }

interface Held {
  readonly connection: Connection
  readonly has: (slot: number) => boolean
}

/** Sends each command to the server that its key belongs to, on either form of a side. */
export class SlotClient implements AsyncDisposable {
  readonly #connections: readonly Held[]

  static async open(url: string): Promise<SlotClient> {
    await using first = await openConnection({ url, side: 'source' })
    const { shards } = await readTopology(first, url)
    return new SlotClient(
      await Promise.all(
        shards.map(async ({ url, slots }) => ({
          connection: await openConnection({ url, side: 'source' }),
          has: (slot: number) => slots.has(slot),
        })),
      ),
    )
  }

  /** One server for every key, whatever it is. */
  static async one(url: string): Promise<SlotClient> {
    return new SlotClient([{ connection: await openConnection({ url, side: 'source' }), has: () => true }])
  }

  private constructor(connections: readonly Held[]) {
    this.#connections = connections
  }

  get all(): readonly Connection[] {
    return this.#connections.map(({ connection }) => connection)
  }

  of(key: Argument): Connection {
    const slot = keySlot(Buffer.from(String(key)))
    return this.#connections.find(({ has }) => has(slot))?.connection as Connection
  }

  /** By its first argument. */
  command(...args: Argument[]) {
    return this.of(args[1] as Argument).command(...args)
  }

  /** All that belong to one server in one go; replies in no order. */
  async pipeline(commands: readonly Argument[][]) {
    const groups = Map.groupBy(commands, (command) => this.of(command[1] as Argument))
    const replies = await Promise.all([...groups].map(([connection, own]) => connection.pipeline(own)))
    return replies.flat()
  }

  /** Until what was written by now is on the target. */
  async catchUp(following: Following): Promise<void> {
    const ends = await Promise.all(
      this.all.map(async (connection) => {
        const info = String(await connection.command('INFO', 'replication'))
        return Number(/master_repl_offset:(\d+)/.exec(info)?.[1])
      }),
    )
    await pollUntil('the target has what the source wrote', () => {
      if (following.failure) return true
      const places = (following.latest?.position ?? '').split(',').map((place) => Number(place.split(':')[1] ?? 0))
      return ends.every((end, index) => (places[index] ?? 0) >= end)
    })
    if (following.failure) throw following.failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.all) connection.close()
  }
}
