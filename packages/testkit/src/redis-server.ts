/** A real Redis (7.0, Debian; older ones from PyPI) or Valkey (8.0, Debian's backports) on a free port of loopback. */
import { createClient } from '@redis/client'
import { type ServerCertificate, serverCertificate, writeCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { type ExternalServer, externalAuthority, externalServer } from './external-server.ts'
import { freePort } from './free-port.ts'
import { installRedis, type RedisEngine, type RedisVersion } from './redis-binaries.ts'
import { type RedisUser, redisConfiguration, usersFile, usersOf, validateVersion } from './redis-configuration.ts'
import { RigServer, type ServerControl } from './rig-server.ts'

export interface RedisOptions {
  /** Where its folder is made: a small disk, say. */
  readonly within?: string
  /** Redis unless said. */
  readonly engine?: RedisEngine
  /** Of Redis; 7.0 unless said. The older ones are sources: without TLS and cluster, those before 6 without users. */
  readonly version?: RedisVersion
  /** `elasticache`: users are refused what ElastiCache refuses them. */
  readonly flavour?: 'plain' | 'elasticache'
  /** Lines of its configuration, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** Of the user `default`. `false`: anybody gets in without one, as on a server that trusts its network. */
  readonly password?: string | false
  /** More users, as rules of an ACL file: `app on >secret ~app:* +@read`. */
  readonly acl?: readonly string[]
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
  /** Follows that server from its start on. */
  readonly replicaOf?: RedisServer
  /** Member of a cluster; see `startRedisCluster`. */
  readonly cluster?: boolean
  /** Never somebody else's, whatever the environment names. */
  readonly own?: boolean
}

/**
 * `RIG_REDIS_URL`, `RIG_VALKEY_URL` and `RIG_ELASTICACHE_URL` name servers to be used instead; `RIG_REDIS_5_0_URL` and
 * the like one of an older version.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  validateVersion(options)
  const { engine = 'redis', version = '7.0', tls = false, replicaOf } = options
  const external = options.own ? undefined : externalServer(externalName(options))
  if (external) return new RedisServer(external, access(external))

  const certificate = await serverCertificate(tls)
  const daemon = await Daemon.create({
    within: options.within,
    name: engine,
    program: await installRedis(engine, version),
    args: () => ['redis.conf'],
    ready: async () => server.command('PING'),
  })
  const server = new RedisServer(daemon, { ...usersOf(options), authority: certificate?.authority })
  try {
    const content = usersFile(options)
    const users = content === undefined ? undefined : await daemon.write('users.acl', content)
    const files = certificate && (await writeCertificate(daemon, certificate))
    const { host, folder } = daemon
    const replication = replicaOf?.admin ?? server.admin
    const placement = { host, folder, users, replication, files }
    // Both ports are chosen anew for every try: either may be taken by somebody else in between.
    await daemon.start(async (port) => {
      const busPort = options.cluster && version === '7.0' ? await freePort() : undefined
      await daemon.write('redis.conf', redisConfiguration(options, { ...placement, port, busPort }))
    })
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** What a command answers: text, number, null, or a list of them. */
export type RedisAnswer = string | number | null | readonly RedisAnswer[]

export type RedisClient = ReturnType<typeof clientOf>

export interface RedisAccess {
  readonly user: RedisUser
  readonly admin: RedisUser
  /** In PEM, when clients must use TLS. */
  readonly authority: string | undefined
}

export class RedisServer extends RigServer {
  readonly #access: RedisAccess

  constructor(control: ServerControl, access: RedisAccess) {
    super(control)
    this.#access = access
  }

  /** Of the user `default`; `false` when it needs none. */
  get password(): string | false {
    return this.#access.user.password
  }

  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  get authority(): string | undefined {
    return this.#access.authority
  }

  /** The rig's own user, whom no flavour restricts. */
  get admin(): RedisUser {
    return this.#access.admin
  }

  /** Address for the ordinary user unless another is named. */
  url(user = this.#access.user.name, password = this.password): string {
    const credentials = password === false ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`
    return `${this.authority ? 'rediss' : 'redis'}://${credentials}${this.host}:${this.port}`
  }

  /** Address for the rig's own user, whom no flavour restricts. */
  get adminUrl(): string {
    return this.url(this.admin.name, this.admin.password)
  }

  /** One command by the rig's own user, on a connection of its own. */
  async command(...args: readonly [string, ...string[]]): Promise<RedisAnswer> {
    await using client = await this.connect(this.adminUrl)
    return await client.sendCommand<RedisAnswer>(args)
  }

  /** The value that a setting has now. */
  async setting(name: string): Promise<RedisAnswer | undefined> {
    const answer = await this.command('CONFIG', 'GET', name)
    return Array.isArray(answer) ? answer[1] : undefined
  }

  /** A connection that does not come back by itself when it is lost; for the ordinary user unless told otherwise. */
  async connect(url = this.url()): Promise<RedisClient & AsyncDisposable> {
    const client = clientOf(url, this.authority)
    client.on('error', () => {}) // The command that is under way fails by itself.
    await client.connect()
    return Object.assign(client, {
      async [Symbol.asyncDispose]() {
        if (client.isOpen) client.destroy()
      },
    })
  }

  /** What it has not saved is lost: everything, unless its settings say `appendonly yes`. A stop saves. */
  override async kill(): Promise<void> {
    await super.kill()
  }
}

function clientOf(url: string, authority: string | undefined) {
  const socket = { reconnectStrategy: false, connectTimeout: 5_000 } as const
  return createClient({ url, RESP: 2, socket: authority ? { ...socket, tls: true, ca: authority } : socket })
}

function externalName({ engine = 'redis', version = '7.0', flavour = 'plain' }: RedisOptions): string {
  if (flavour !== 'plain') return flavour
  return version === '7.0' ? engine : `${engine}-${version.replace('.', '-')}`
}

function access(external: ExternalServer): RedisAccess {
  const { username, password, protocol } = external.url
  const user = {
    name: decodeURIComponent(username) || 'default',
    password: decodeURIComponent(password) || false,
  } as const
  return { user, admin: user, authority: protocol === 'rediss:' ? externalAuthority() : undefined }
}
