/** A real Redis (7.0, Debian) or Valkey (8.0, Debian's backports) on a free port of loopback. */
import { hash } from 'node:crypto'
import { createClient } from '@redis/client'
import {
  type CertificateFiles,
  type ServerCertificate,
  serverCertificate,
  writeCertificate,
} from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { debianProgram, unpackBackports } from './debian-package.ts'
import { elasticacheRule } from './elasticache.ts'
import { type ExternalServer, externalAuthority, externalServer } from './external-server.ts'
import { freePort } from './free-port.ts'
import { RigServer, type ServerControl } from './rig-server.ts'

export interface RedisOptions {
  /** Where its folder is made: a small disk, say. */
  readonly within?: string
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
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
  /** Follows that server from its start on. */
  readonly replicaOf?: RedisServer
  /** Member of a cluster; see `startRedisCluster`. */
  readonly cluster?: boolean
}

/** May do anything, also where the flavour refuses it: for the rig and its faults, never for what is under test. */
const admin = { name: 'rig-admin', password: 'rig-admin' } satisfies RedisUser
const rigPassword = 'rig-redis'

/** `RIG_REDIS_URL`, `RIG_VALKEY_URL` and `RIG_ELASTICACHE_URL` name servers to be used instead. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { engine = 'redis', flavour = 'plain', tls = false } = options
  const external = externalServer(flavour === 'plain' ? engine : flavour)
  if (external) return new RedisServer(external, access(external))

  const certificate = await serverCertificate(tls)
  const daemon = await Daemon.create({
    within: options.within,
    name: engine,
    program: await installRedis(engine),
    args: () => ['redis.conf'],
    ready: async () => server.command('PING'),
  })
  const server = new RedisServer(daemon, {
    user: { name: 'default', password: options.password ?? rigPassword },
    admin,
    authority: certificate?.authority,
  })
  try {
    await daemon.write('users.acl', usersFile(options))
    const files = certificate && (await writeCertificate(daemon, certificate))
    const busPort = options.cluster ? await freePort() : undefined
    await daemon.start((port) => daemon.write('redis.conf', configuration({ options, daemon, port, busPort, files })))
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** What a command answers: text, number, null, or a list of them. */
export type RedisAnswer = string | number | null | readonly RedisAnswer[]

export type RedisClient = ReturnType<typeof clientOf>

interface RedisUser {
  readonly name: string
  /** `false` when none is asked for. */
  readonly password: string | false
}

interface RedisAccess {
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

  /** Address for the ordinary user unless another is named. */
  url(user = this.#access.user.name, password = this.password): string {
    const credentials = password === false ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`
    return `${this.authority ? 'rediss' : 'redis'}://${credentials}${this.host}:${this.port}`
  }

  /** Address for the rig's own user, whom no flavour restricts. */
  get adminUrl(): string {
    return this.url(this.#access.admin.name, this.#access.admin.password)
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

function access(external: ExternalServer): RedisAccess {
  const { username, password, protocol } = external.url
  const user = {
    name: decodeURIComponent(username) || 'default',
    password: decodeURIComponent(password) || false,
  } as const
  return { user, admin: user, authority: protocol === 'rediss:' ? externalAuthority() : undefined }
}

/** Path of the server's program, brought to this machine where it is not there. */
export async function installRedis(engine: 'redis' | 'valkey'): Promise<string> {
  // Valkey runs on the libraries that Redis brings along.
  const redis = await debianProgram('redis-server', 'redis-server')
  if (engine === 'redis') return redis
  return `${await unpackBackports('bookworm', ['valkey-server', 'valkey-tools'])}/usr/bin/valkey-server`
}

function usersFile({ password = rigPassword, acl = [], flavour }: RedisOptions): string {
  const restriction = flavour === 'elasticache' ? ` ${elasticacheRule}` : ''
  const users = [`default on ${password === false ? 'nopass' : hashed(password)} ~* &* +@all`, ...acl]
  return [...users.map((user) => user + restriction), `${admin.name} on ${hashed(admin.password)} ~* &* +@all`]
    .map((user) => `user ${user}\n`)
    .join('')
}

/** As an ACL file takes any password: in clear it must hold no space. */
function hashed(password: string): string {
  return `#${hash('sha256', password)}`
}

interface Placement {
  readonly options: RedisOptions
  readonly daemon: Daemon
  readonly port: number
  readonly busPort: number | undefined
  readonly files: CertificateFiles | undefined
}

function configuration({ options, daemon, port, busPort, files }: Placement): string {
  const { replicaOf, settings } = options
  const all = {
    bind: daemon.host,
    ...(files ? tlsSettings(port, files) : { port: String(port) }),
    dir: daemon.folder,
    aclfile: daemon.path('users.acl'),
    ...(replicaOf && { replicaof: `${replicaOf.host} ${replicaOf.port}` }),
    // Also without `replicaOf`, so that a server can be made a replica later.
    masteruser: admin.name,
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

function tlsSettings(port: number, { authority, certificate, key }: CertificateFiles): Record<string, string> {
  return {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': certificate,
    'tls-key-file': key,
    'tls-ca-cert-file': authority,
    // Clients prove themselves by password.
    'tls-auth-clients': 'no',
    'tls-replication': 'yes',
    'tls-cluster': 'yes',
  }
}
