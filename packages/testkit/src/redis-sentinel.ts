/** A primary and its replicas under the eyes of Redis Sentinel, which makes another one the primary when it is gone. */
import { serverCertificate, writeCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { pollUntil } from './poll-until.ts'
import { installRedis } from './redis-binaries.ts'
import { settingLines, tlsSettings } from './redis-configuration.ts'
import { type RedisAnswer, type RedisOptions, RedisServer, startRedis } from './redis-server.ts'

export interface RedisSentinelOptions extends Omit<RedisOptions, 'cluster' | 'own' | 'replicaOf'> {
  /** 2 unless said. */
  readonly replicas?: number
  /** 3 unless said; more than half of them must agree. */
  readonly sentinels?: number
  /** What clients ask the sentinels for; `rig` unless said. */
  readonly name?: string
  /** How long a server may be silent before it counts as gone; 2,000 unless said. */
  readonly downAfterMs?: number
}

/** Starts servers and sentinels, and waits until every sentinel knows them all. None can be somebody else's. */
export async function startRedisSentinel(options: RedisSentinelOptions = {}): Promise<RedisSentinelSet> {
  const { replicas = 2, sentinels = 3, name = 'rig', downAfterMs = 2_000, ...each } = options
  await using stack = new AsyncDisposableStack()
  const first = stack.use(await startRedis({ ...each, own: true }))
  const followers = await Promise.all(
    Array.from({ length: replicas }, async () => stack.use(await startRedis({ ...each, replicaOf: first, own: true }))),
  )
  const watch = { name, downAfterMs, quorum: Math.floor(sentinels / 2) + 1, primary: first }
  const watchers = await Promise.all(
    Array.from({ length: sentinels }, async () => stack.use(await startSentinel(each, watch))),
  )
  const servers = [first, ...followers]
  await Promise.all(watchers.map((watcher) => untilComplete(watcher, { name, replicas, sentinels })))
  return new RedisSentinelSet({ name, servers, sentinels: watchers, resources: stack.move() })
}

export class RedisSentinelSet implements AsyncDisposable {
  /** What clients ask for. */
  readonly name: string
  /** All that hold data, whichever is the primary now. */
  readonly servers: readonly RedisServer[]
  /** They ask for the same password as the servers; a client's connection to them is one of Redis. */
  readonly sentinels: readonly RedisServer[]
  readonly #resources: AsyncDisposableStack

  constructor(parts: {
    readonly name: string
    readonly servers: readonly RedisServer[]
    readonly sentinels: readonly RedisServer[]
    readonly resources: AsyncDisposableStack
  }) {
    this.name = parts.name
    this.servers = parts.servers
    this.sentinels = parts.sentinels
    this.#resources = parts.resources
  }

  /** Where clients ask for the primary. */
  get urls(): string[] {
    return this.sentinels.map((sentinel) => sentinel.url())
  }

  /** The server that the sentinels that run name at this moment. */
  async primary(): Promise<RedisServer> {
    const asked = this.sentinels.find((sentinel) => sentinel.running)
    if (!asked) throw new Error('No sentinel runs')
    const port = await primaryPort(asked, this.name)
    const primary = this.servers.find((server) => server.port === port)
    if (!primary) throw new Error(`The sentinels name port ${port}, which is none of the set's`)
    return primary
  }

  /** Has a replica take over in order, and waits until every sentinel names it and the old primary follows it. */
  async failOver(): Promise<RedisServer> {
    const before = await this.primary()
    const [sentinel] = this.sentinels
    await sentinel?.command('SENTINEL', 'FAILOVER', this.name)
    const after = await this.untilPrimaryIsNot(before)
    await pollUntil('the old primary follows the new one', async () => {
      const role = await before.command('ROLE')
      return Array.isArray(role) && role[0] === 'slave' && role[2] === after.port && role[3] === 'connected'
    })
    return after
  }

  /** Waits until every sentinel that runs names the same other server, and that server takes writes. */
  async untilPrimaryIsNot(before: RedisServer): Promise<RedisServer> {
    const running = this.sentinels.filter((sentinel) => sentinel.running)
    return pollUntil(
      'another server is the primary',
      async () => {
        const ports = new Set(await Promise.all(running.map((sentinel) => primaryPort(sentinel, this.name))))
        const server = this.servers.find(({ port }) => ports.size === 1 && ports.has(port))
        if (!server || server === before) return undefined
        const role = await server.command('ROLE')
        return Array.isArray(role) && role[0] === 'master' ? server : undefined
      },
      { withinMs: 60_000 },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]()
  }
}

interface Watch {
  readonly name: string
  readonly downAfterMs: number
  readonly quorum: number
  readonly primary: RedisServer
}

async function startSentinel(
  { engine = 'redis', version, tls = false, within }: RedisOptions,
  watch: Watch,
): Promise<RedisServer> {
  const certificate = await serverCertificate(tls)
  const daemon = await Daemon.create({
    within,
    name: `${engine}-sentinel`,
    program: await installRedis(engine, version),
    args: () => ['sentinel.conf', '--sentinel'],
    ready: async () => sentinel.command('PING'),
  })
  const { password, authority } = watch.primary
  const user = { name: '', password }
  const sentinel = new RedisServer(daemon, { user, admin: user, authority })
  try {
    const files = certificate && (await writeCertificate(daemon, certificate))
    await daemon.start((port) => {
      const place = { bind: daemon.host, dir: daemon.folder, ...(password !== false && { requirepass: password }) }
      const listening = files ? tlsSettings(port, files) : { port: String(port) }
      return daemon.write('sentinel.conf', settingLines({ ...place, ...listening }) + watchLines(watch))
    })
    return sentinel
  } catch (error) {
    await sentinel[Symbol.asyncDispose]()
    throw error
  }
}

function watchLines({ name, downAfterMs, quorum, primary }: Watch): string {
  const { host, port, admin } = primary
  return [
    `monitor ${name} ${host} ${port} ${quorum}`,
    ...(admin.name ? [`auth-user ${name} ${admin.name}`] : []),
    ...(admin.password === false ? [] : [`auth-pass ${name} ${admin.password}`]),
    `down-after-milliseconds ${name} ${downAfterMs}`,
    `failover-timeout ${name} ${downAfterMs * 5}`,
  ]
    .map((line) => `sentinel ${line}\n`)
    .join('')
}

async function untilComplete(
  sentinel: RedisServer,
  { name, replicas, sentinels }: { readonly name: string; readonly replicas: number; readonly sentinels: number },
): Promise<void> {
  await pollUntil(
    'the sentinel knows all servers',
    async () => {
      const known = fields(await sentinel.command('SENTINEL', 'MASTER', name))
      return (
        known.get('flags') === 'master' &&
        known.get('num-slaves') === String(replicas) &&
        known.get('num-other-sentinels') === String(sentinels - 1)
      )
    },
    { withinMs: 60_000 },
  )
}

async function primaryPort(sentinel: RedisServer, name: string): Promise<number> {
  const address = await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)
  return Array.isArray(address) ? Number(address[1]) : 0
}

function fields(answer: RedisAnswer): ReadonlyMap<string, string> {
  const list = Array.isArray(answer) ? answer.map(String) : []
  return new Map(list.flatMap((value, index) => (index % 2 === 0 ? [[value, list[index + 1] ?? '']] : [])))
}
