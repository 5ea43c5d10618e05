/** A search server put together from Maven, on Java called directly, with the rig's gateway in front. */
import type { ServerCertificate } from './certificate-authority.ts'
import { serverCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { type ExternalServer, externalAuthority } from './external-server.ts'
import { freePort } from './free-port.ts'
import { java17 } from './java-runtime.ts'
import { type JsonAnswer, type JsonRequest, requestJson } from './json-request.ts'
import { RigServer, type ServerControl } from './rig-server.ts'
import { assembleSearchServer, type SearchDistribution } from './search-distribution.ts'
import { type RefusalRule, SearchGateway } from './search-gateway.ts'

export interface SearchOptions {
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
  /** Of the user `rig`. `false`: anybody gets in without one, as on a server that trusts its network. */
  readonly password?: string | false
  readonly heapMb?: number
  /** Keys of its configuration, over the rig's own. */
  readonly settings?: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

interface SearchPlan extends SearchOptions {
  readonly refuse?: RefusalRule
}

const user = 'rig'

export async function startSearchServer(distribution: SearchDistribution, plan: SearchPlan): Promise<SearchServer> {
  const { tls = false, password = `rig-${distribution.engine}`, refuse } = plan
  const certificate = await serverCertificate(tls)
  const home = await assembleSearchServer(distribution)
  const daemon: Daemon = await Daemon.create({
    name: distribution.engine,
    program: await java17(),
    args: () => javaArguments({ distribution, home, folder: daemon.folder, heapMb: plan.heapMb ?? 512 }),
    ready: () => askHealth(daemon),
    readyWithinMs: 120_000,
  })
  try {
    await daemon.write('log4j2.properties', logging)
    await daemon.start(async (port) => {
      const settings = await configuration(distribution, daemon, port)
      await daemon.write(`${distribution.engine}.yml`, configFile({ ...settings, ...plan.settings }))
    })
    const login = password === false ? undefined : { user, password }
    const gateway = await SearchGateway.start({ backend: daemon, certificate, login, refuse })
    return new SearchServer(daemon, { gateway, login, authority: certificate?.authority })
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
}

interface SearchAccess {
  /** `undefined` in front of a server that is not ours. */
  readonly gateway: SearchGateway | undefined
  readonly login: { readonly user: string; readonly password: string } | undefined
  readonly authority: string | undefined
}

export class SearchServer extends RigServer {
  readonly #access: SearchAccess

  constructor(control: ServerControl, access: SearchAccess) {
    super(control)
    this.#access = access
  }

  /** A server that somebody brought along, with whatever is in its address. */
  static external(external: ExternalServer): SearchServer {
    const { username, password, protocol } = external.url
    return new SearchServer(external, {
      gateway: undefined,
      login: username ? { user: decodeURIComponent(username), password: decodeURIComponent(password) } : undefined,
      authority: protocol === 'https:' ? externalAuthority() : undefined,
    })
  }

  /** Of the gateway; it stays while the server behind it is down. */
  override get port(): number {
    return this.#access.gateway?.port ?? super.port
  }

  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  get authority(): string | undefined {
    return this.#access.authority
  }

  url({ user = this.#access.login?.user, password = this.#access.login?.password } = {}): string {
    const credentials = user && password ? `${encodeURIComponent(user)}:${encodeURIComponent(password)}@` : ''
    return `${this.authority ? 'https' : 'http'}://${credentials}${this.host}:${this.port}`
  }

  /** One request as the rig's own user, with the answer as it is. */
  async request(method: string, path: string, body?: unknown): Promise<JsonAnswer> {
    const { login, authority } = this.#access
    const options: JsonRequest = { method, body, ca: authority, ...login }
    return requestJson(`${this.authority ? 'https' : 'http'}://${this.host}:${this.port}/${path}`, options)
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#access.gateway?.[Symbol.asyncDispose]()
    await super[Symbol.asyncDispose]()
  }
}

interface JavaSetup {
  readonly distribution: SearchDistribution
  readonly home: string
  readonly folder: string
  readonly heapMb: number
}

/** Quick to start and small; at its peak slower than with the collector and compiler of a production server. */
function javaArguments({ distribution, home, folder, heapMb }: JavaSetup): string[] {
  const { engine, mainClass, systemProperties } = distribution
  const prefix = engine === 'elasticsearch' ? 'es' : 'opensearch'
  const properties = [
    `java.io.tmpdir=${folder}`,
    'java.awt.headless=true',
    'java.locale.providers=SPI,COMPAT',
    'file.encoding=UTF-8',
    'jna.nosys=true',
    'io.netty.noUnsafe=true',
    'io.netty.noKeySetOptimization=true',
    'io.netty.recycler.maxCapacityPerThread=0',
    'io.netty.allocator.type=unpooled',
    'log4j.shutdownHookEnabled=false',
    'log4j2.disable.jmx=true',
    `${prefix}.path.home=${home}`,
    `${prefix}.path.conf=${folder}`,
    ...systemProperties,
  ]
  return [
    `-Xms${heapMb}m`,
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    // Its file would lie outside the folder and outlive a kill.
    '-XX:-UsePerfData',
    ...properties.map((property) => `-D${property}`),
    '-classpath',
    `${home}/lib/*`,
    mainClass,
  ]
}

async function configuration({ engine }: SearchDistribution, daemon: Daemon, port: number) {
  return {
    'cluster.name': `rig-${engine}`,
    'node.name': 'rig',
    'path.data': daemon.path('data'),
    'path.logs': daemon.path('logs'),
    'network.host': daemon.host,
    'http.port': port,
    'transport.port': await freePort(),
    'discovery.type': 'single-node',
    // Not every kernel that tests run on lets a process give up system calls.
    'bootstrap.system_call_filter': false,
    // A disk that is nearly full for other reasons would turn every index read-only.
    'cluster.routing.allocation.disk.threshold_enabled': false,
    'reindex.remote.whitelist': ['127.0.0.1:*', 'localhost:*'],
  }
}

function configFile(settings: NonNullable<SearchOptions['settings']>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    .join('')
}

const logging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1.} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

async function askHealth(daemon: Daemon): Promise<void> {
  const url = `http://${daemon.host}:${daemon.port}/_cluster/health?wait_for_status=yellow&timeout=1s`
  const { status } = await requestJson(url, { withinMs: 5_000 })
  if (status !== 200) throw new Error(`The cluster's health is answered with ${status}`)
}
