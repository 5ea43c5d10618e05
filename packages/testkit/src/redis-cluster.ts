import { pollUntil } from './poll-until.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis-server.ts'

export interface RedisClusterOptions extends Omit<RedisOptions, 'cluster' | 'own' | 'replicaOf'> {
  /** Each with a primary; 3 unless said, and no fewer, since fewer cannot agree on a failure. */
  readonly shards?: number
  readonly replicasPerShard?: number
}

const slots = 16_384

/**
 * Starts the servers, shares the slots out evenly and waits until every one of them sees a whole cluster. None can be
 * somebody else's.
 */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { shards = 3, replicasPerShard = 0, ...each } = options
  const stack = new AsyncDisposableStack()
  try {
    const start = async (): Promise<RedisServer> => stack.use(await startRedis({ ...each, cluster: true, own: true }))
    const servers = await Promise.all(Array.from({ length: shards * (1 + replicasPerShard) }, start))
    const primaries = servers.slice(0, shards)
    const replicas = servers.slice(shards)
    await shareSlots(primaries)
    await meet(servers)
    await Promise.all(replicas.map((replica, index) => follow(replica, primaries[index % shards] as RedisServer)))
    await Promise.all(servers.map(untilWhole))
    await Promise.all(servers.map((server) => untilReplicasAreSeen(server, replicas.length)))
    return new RedisCluster({ primaries, replicas, resources: stack.move() })
  } catch (error) {
    await stack[Symbol.asyncDispose]()
    throw error
  }
}

export class RedisCluster implements AsyncDisposable {
  /** In the order of their slots. */
  readonly primaries: readonly RedisServer[]
  readonly replicas: readonly RedisServer[]
  readonly #resources: AsyncDisposableStack

  constructor(parts: {
    readonly primaries: readonly RedisServer[]
    readonly replicas: readonly RedisServer[]
    readonly resources: AsyncDisposableStack
  }) {
    this.primaries = parts.primaries
    this.replicas = parts.replicas
    this.#resources = parts.resources
  }

  /** Where a client may begin; it learns of the others by itself. */
  get urls(): string[] {
    return this.primaries.map((server) => server.url())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]()
  }
}

async function shareSlots(primaries: readonly RedisServer[]): Promise<void> {
  const from = (index: number): number => Math.floor((index * slots) / primaries.length)
  await Promise.all(
    primaries.map((server, index) =>
      // Ranges are known from 7.0 on.
      server.command('CLUSTER', 'ADDSLOTS', ...slotsBetween(from(index), from(index + 1))),
    ),
  )
}

function slotsBetween(first: number, end: number): string[] {
  return Array.from({ length: end - first }, (_, index) => String(first + index))
}

async function meet([first, ...others]: readonly RedisServer[]): Promise<void> {
  if (!first) return
  const [, busPort] = (await first.command('CONFIG', 'GET', 'cluster-port')) as string[]
  // Where it cannot be set it follows from the port.
  const address = [first.host, String(first.port), ...(busPort ? [busPort] : [])]
  for (const server of others) await server.command('CLUSTER', 'MEET', ...address)
}

async function follow(replica: RedisServer, primary: RedisServer): Promise<void> {
  const id = String(await primary.command('CLUSTER', 'MYID'))
  // The replica has to have heard of its primary first.
  await pollUntil('the replica follows its primary', () => replica.command('CLUSTER', 'REPLICATE', id))
}

async function untilWhole(server: RedisServer, _index: number, all: readonly RedisServer[]): Promise<void> {
  await pollUntil('the cluster is whole', async () => {
    const info = String(await server.command('CLUSTER', 'INFO'))
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${all.length}\r`)
  })
}

/** A server lists another's replica only once gossip has told it of its new part. */
async function untilReplicasAreSeen(server: RedisServer, count: number): Promise<void> {
  await pollUntil('every replica is seen as one', async () => {
    const nodes = String(await server.command('CLUSTER', 'NODES')).split('\n')
    return nodes.filter((line) => /\b(myself,)?slave\b/.test(line)).length === count
  })
}
