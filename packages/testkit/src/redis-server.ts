/** A real Redis (7.0, Debian) or Valkey (8.0, Debian's backports) on a free port of loopback. */
import { createClient } from '@redis/client'
import { Daemon } from './daemon.ts'
import { debianProgram, unpackBackports } from './debian-package.ts'
import { elasticacheRule } from './elasticache.ts'
import { freePort } from './free-port.ts'

export interface RedisOptions {
  /** Redis 7.0 unless said. */
  readonly engine?: 'redis' | 'valkey'
  /** `elasticache`: users are refused what ElastiCache refuses them. */
  readonly flavour?: 'plain' | 'elasticache'
  /** Lines of its configuration, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** Of the user `default`. `false`: anybody gets in without one, as on a server that trusts its network. */
  readonly password?: string | false
  /** More users, as rules of an ACL file: `app on >secret ~app:* +@read`. */
  readonly acl?: readonly string[]
  /** Follows that server from its start on. */
  readonly replicaOf?: RedisServer
  /** Member of a cluster; see `startRedisCluster`. */
  readonly cluster?: boolean
}

/** May do anything, also where the flavour refuses it: for the rig and its faults, never for what is under test. */
const admin = { user: 'rig-admin', password: 'rig-admin' }
const rigPassword = 'rig-redis'

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { engine = 'redis', password = rigPassword } = options
  const daemon = await Daemon.create({
    name: engine,
    program: await findServer(engine),
    args: () => ['redis.conf'],
    ready: async () => server.command('PING'),
  })
  const server = new RedisServer(daemon, password)
  try {
    await daemon.write('users.acl', usersFile({ ...options, password }))
    const busPort = options.cluster ? await freePort() : undefined
    await daemon.start((port) => daemon.write('redis.conf', configuration({ options, daemon, port, busPort })))
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** What a command answers: text, number, null, or a list of them. */
export type RedisAnswer = string | number | null | readonly RedisAnswer[]

export type RedisClient = ReturnType<typeof clientOf>

export class RedisServer implements AsyncDisposable {
  readonly daemon: Daemon
  /** Of the user `default`; `false` when it needs none. */
  readonly password: string | false

  constructor(daemon: Daemon, password: string | false) {
    this.daemon = daemon
    this.password = password
  }

  get host(): string {
    return this.daemon.host
  }

  get port(): number {
    return this.daemon.port
  }

  get pid(): number {
    return this.daemon.pid
  }

  get running(): boolean {
    return this.daemon.running
  }

  get logFile(): string {
    return this.daemon.logFile
  }

  /** Address for a user, `default` unless another is named. */
  url(user = 'default', password: string | false = this.password): string {
    const credentials = password === false ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`
    return `redis://${credentials}${this.host}:${this.port}`
  }

  /** Address for the rig's own user, whom no flavour restricts. */
  get adminUrl(): string {
    return this.url(admin.user, admin.password)
  }

  /** One command by the rig's own user, on a connection of its own. */
  async command(...args: readonly [string, ...string[]]): Promise<RedisAnswer> {
    await using client = await this.connect(this.adminUrl)
    return await client.sendCommand<RedisAnswer>(args)
  }

  /** A connection that does not come back by itself when it is lost. For the user `default` unless another is given. */
  async connect(url = this.url()): Promise<RedisClient & AsyncDisposable> {
    const client = clientOf(url)
    client.on('error', () => {}) // The command that is under way fails by itself.
    await client.connect()
    return Object.assign(client, {
      async [Symbol.asyncDispose]() {
        if (client.isOpen) client.destroy()
      },
    })
  }

  /** Saves what it holds and ends. */
  async stop(): Promise<void> {
    await this.daemon.stop()
  }

  /** What it has not saved is lost: everything, unless its settings say `appendonly yes`. */
  async kill(): Promise<void> {
    await this.daemon.kill()
  }

  /** Starts it again on the same port and data, after an orderly stop where it still runs. */
  async restart(): Promise<void> {
    await this.daemon.restart()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon[Symbol.asyncDispose]()
  }
}

function clientOf(url: string) {
  return createClient({ url, RESP: 2, socket: { reconnectStrategy: false, connectTimeout: 5_000 } })
}

async function findServer(engine: 'redis' | 'valkey'): Promise<string> {
  // Valkey runs on the libraries that Redis brings along.
  const redis = await debianProgram('redis-server', 'redis-server')
  if (engine === 'redis') return redis
  return `${await unpackBackports('bookworm', ['valkey-server', 'valkey-tools'])}/usr/bin/valkey-server`
}

function usersFile({ password, acl = [], flavour }: RedisOptions): string {
  const restriction = flavour === 'elasticache' ? ` ${elasticacheRule}` : ''
  const users = [`default on ${password ? `>${password}` : 'nopass'} ~* &* +@all`, ...acl]
  return [...users.map((user) => user + restriction), `${admin.user} on >${admin.password} ~* &* +@all`]
    .map((user) => `user ${user}\n`)
    .join('')
}

interface Placement {
  readonly options: RedisOptions
  readonly daemon: Daemon
  readonly port: number
  readonly busPort: number | undefined
}

function configuration({ options, daemon, port, busPort }: Placement): string {
  const { replicaOf, settings } = options
  const all = {
    bind: daemon.host,
    port: String(port),
    dir: daemon.folder,
    aclfile: daemon.path('users.acl'),
    ...(replicaOf && { replicaof: `${replicaOf.host} ${replicaOf.port}` }),
    // Also without `replicaOf`, so that a server can be made a replica later.
    masteruser: admin.user,
    masterauth: admin.password,
    ...(busPort && { 'cluster-enabled': 'yes', 'cluster-port': String(busPort), 'cluster-node-timeout': '2000' }),
    save: '3600 1',
    'repl-diskless-sync-delay': '0',
    'enable-debug-command': 'local',
    ...settings,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name} ${value}\n`)
    .join('')
}
