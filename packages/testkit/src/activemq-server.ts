/** ActiveMQ Classic 5.18, the version of Amazon MQ, put together from Maven: AMQP 1.0, STOMP, KahaDB, Jolokia. */
import { readFile } from 'node:fs/promises'
import { assertPermittedByAmazonMq } from './activemq-amazon-mq.ts'
import { brokerXml, defaultConfiguration } from './activemq-configuration.ts'
import { type ActivemqFiles, activemqFiles } from './activemq-distribution.ts'
import { ActivemqStatistics } from './activemq-statistics.ts'
import { stompLogin } from './activemq-stomp.ts'
import { type ServerCertificate, serverCertificate, writeCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { freePort } from './free-port.ts'
import { java17 } from './java-runtime.ts'
import { RigServer } from './rig-server.ts'
import { runProgram } from './run-program.ts'

export interface ActivemqUser {
  readonly password: string
  readonly groups?: readonly string[]
}

export interface ActivemqOptions {
  /** `amazon-mq`: takes only a configuration that Amazon MQ permits, and speaks TLS only. */
  readonly flavour?: 'plain' | 'amazon-mq'
  /** A `<broker>` document as Amazon MQ takes it: policies, destinations, interceptors, plugins. */
  readonly configuration?: string
  /** Beside the rig's own administrator. */
  readonly users?: Readonly<Record<string, ActivemqUser>>
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
  readonly heapMb?: number
}

const admin = { user: 'rig', password: 'rig-activemq' }

export async function startActivemq(options: ActivemqOptions = {}): Promise<ActivemqServer> {
  const { flavour = 'plain', configuration = defaultConfiguration, tls = flavour === 'amazon-mq' } = options
  if (flavour === 'amazon-mq') {
    assertPermittedByAmazonMq(configuration)
    if (!tls) throw new Error('Amazon MQ takes no plain connections')
  }
  const certificate = await serverCertificate(tls)
  const files = await activemqFiles()
  const daemon: Daemon = await Daemon.create({
    name: 'activemq',
    program: await java17(),
    args: () => javaArguments(files, daemon, options.heapMb ?? 256),
    ready: () => stompLogin({ host: daemon.host, port: server.stompPort, ...admin, ca: certificate?.authority }),
    readyWithinMs: 90_000,
  })
  const server = new ActivemqServer(daemon, certificate?.authority)
  try {
    await server.start({ ...options, configuration }, certificate)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

export class ActivemqServer extends RigServer {
  readonly user = admin.user
  readonly password = admin.password
  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  readonly authority: string | undefined
  readonly #daemon: Daemon
  #stompPort = 0
  #jolokiaPort = 0

  constructor(daemon: Daemon, authority: string | undefined) {
    super(daemon)
    this.#daemon = daemon
    this.authority = authority
  }

  get stompPort(): number {
    return this.#stompPort
  }

  /** Address of its AMQP 1.0. */
  url({ user = this.user, password = this.password } = {}): string {
    return this.#address(this.authority ? 'amqps' : 'amqp', this.port, user, password)
  }

  stompUrl({ user = this.user, password = this.password } = {}): string {
    return this.#address(this.authority ? 'stomp+ssl' : 'stomp', this.stompPort, user, password)
  }

  get statistics(): ActivemqStatistics {
    const scheme = this.authority ? 'https' : 'http'
    return new ActivemqStatistics(`${scheme}://${this.host}:${this.#jolokiaPort}/api/jolokia/`, {
      ...admin,
      ca: this.authority,
    })
  }

  async start(
    { configuration, users }: ActivemqOptions & { readonly configuration: string },
    certificate: ServerCertificate | undefined,
  ): Promise<void> {
    const daemon = this.#daemon
    const keyStore = certificate && (await writeKeyStore(daemon, certificate))
    const security = certificate ? '+ssl' : ''
    await daemon.write('log4j2.properties', logging)
    await daemon.write('jolokia-access.xml', jolokiaAccess)
    await daemon.start(async (port) => {
      this.#stompPort = await freePort()
      this.#jolokiaPort = await freePort()
      // Readiness is asked of STOMP, which therefore comes last.
      const connectors = {
        amqp: `amqp${security}://${this.host}:${port}`,
        stomp: `stomp${security}://${this.host}:${this.#stompPort}`,
      }
      const xml = { configuration, dataFolder: daemon.path('data'), connectors, keyStore }
      const everybody = { ...users, [admin.user]: { password: admin.password, groups: ['admins'] } }
      await daemon.write('activemq.xml', brokerXml({ ...xml, users: everybody }))
      await daemon.write('jolokia.properties', jolokiaProperties(daemon, this.#jolokiaPort, keyStore))
    })
  }

  #address(scheme: string, port: number, user: string, password: string): string {
    return `${scheme}://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${this.host}:${port}`
  }
}

function javaArguments({ classpath, agent }: ActivemqFiles, daemon: Daemon, heapMb: number): string[] {
  return [
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-javaagent:${agent}=config=${daemon.path('jolokia.properties')}`,
    `-Djava.io.tmpdir=${daemon.folder}`,
    `-Dlog4j2.configurationFile=${daemon.path('log4j2.properties')}`,
    '-classpath',
    classpath,
    'org.apache.activemq.console.command.ShellCommand',
    'start',
    `xbean:file:${daemon.path('activemq.xml')}`,
  ]
}

interface KeyStore {
  readonly file: string
  readonly password: string
}

/** Java reads no PEM. */
async function writeKeyStore(daemon: Daemon, certificate: ServerCertificate): Promise<KeyStore> {
  const { pair } = await writeCertificate(daemon, certificate)
  const password = 'rig-key-store'
  const passwordFile = await daemon.write('server.p12.password', password)
  const file = daemon.path('server.p12')
  await runProgram('openssl', ['pkcs12', '-export', '-in', pair, '-out', file, '-passout', `file:${passwordFile}`])
  return { file: await daemon.write('server.p12', await readFile(file)), password }
}

function jolokiaProperties(daemon: Daemon, port: number, keyStore: KeyStore | undefined): string {
  const all = {
    host: daemon.host,
    port: String(port),
    // Where Amazon MQ has it.
    agentContext: '/api/jolokia',
    user: admin.user,
    password: admin.password,
    policyLocation: `file:${daemon.path('jolokia-access.xml')}`,
    discoveryEnabled: 'false',
    ...(keyStore ? { protocol: 'https', keystore: keyStore.file, keystorePassword: keyStore.password } : {}),
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

const jolokiaAccess = '<restrict><cors><allow-origin>*</allow-origin><strict-checking/></cors></restrict>\n'

const logging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`
