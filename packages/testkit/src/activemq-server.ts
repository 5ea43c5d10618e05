/** ActiveMQ Classic 5.18, the version of Amazon MQ, put together from Maven: AMQP 1.0, STOMP, KahaDB, Jolokia. */
import { readFile } from 'node:fs/promises'
import { assertPermittedByAmazonMq } from './activemq-amazon-mq.ts'
import { brokerXml, defaultConfiguration } from './activemq-configuration.ts'
import { type ActivemqFiles, activemqFiles } from './activemq-distribution.ts'
import { ActivemqStatistics } from './activemq-statistics.ts'
import { stompLogin } from './activemq-stomp.ts'
import { type ServerCertificate, serverCertificate, writeCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { type ExternalServer, externalAuthority, externalServer } from './external-server.ts'
import { freePort } from './free-port.ts'
import { java17 } from './java-runtime.ts'
import { RigServer, type ServerControl } from './rig-server.ts'
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
  /**
   * How the broker stores what comes by AMQP: `native`, ActiveMQ's own default, keeps the encoded message, which other
   * protocols see as bytes; `jms` converts it. Amazon MQ does not say which it uses.
   */
  readonly amqpTransformer?: 'native' | 'jms'
}

const admin = { user: 'rig', password: 'rig-activemq' }

/** `RIG_ACTIVEMQ_URL` and `RIG_AMAZON_MQ_ACTIVEMQ_URL` (AMQP 1.0) name brokers to be used instead. */
export async function startActivemq(options: ActivemqOptions = {}): Promise<ActivemqServer> {
  const { flavour = 'plain', configuration = defaultConfiguration, tls = flavour === 'amazon-mq' } = options
  const external = externalServer(flavour === 'plain' ? 'activemq' : 'amazon-mq-activemq')
  if (external) return externalBroker(external)
  if (flavour === 'amazon-mq') {
    assertPermittedByAmazonMq(configuration)
    if (!tls) throw new Error('Amazon MQ takes no plain connections')
  }
  const certificate = await serverCertificate(tls)
  const files = await activemqFiles()
  const authority = certificate?.authority
  let ports: BrokerPorts = { stomp: 0, jolokia: 0 }
  const daemon: Daemon = await Daemon.create({
    name: 'activemq',
    program: await java17(),
    args: () => javaArguments(files, daemon, options.heapMb ?? 256),
    ready: async () => {
      // STOMP is the last that the broker opens; Jolokia is not the broker's.
      await stompLogin({ host: daemon.host, port: ports.stomp, ...admin, ca: authority })
      await statisticsOf({ ...admin, authority, host: daemon.host, jolokia: ports.jolokia }).checkBroker()
    },
    readyWithinMs: 90_000,
  })
  try {
    const keyStore = certificate && (await writeKeyStore(daemon, certificate))
    await daemon.start(async (amqp) => {
      ports = { stomp: await freePort(), jolokia: await freePort() }
      await writeConfiguration({ ...options, daemon, ports: { amqp, ...ports }, keyStore, configuration })
    })
    return new ActivemqServer(daemon, { ...admin, authority, ...ports })
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
}

interface BrokerPorts {
  readonly stomp: number
  readonly jolokia: number
}

/**
 * Its other two ports are those of Amazon MQ, or ActiveMQ's own without TLS, unless the address names others:
 * `?stomp=…&jolokia=…`.
 */
function externalBroker(external: ExternalServer): ActivemqServer {
  const { username, password, protocol } = external.url
  const secure = protocol === 'amqps:'
  return new ActivemqServer(external, {
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    authority: secure ? externalAuthority() : undefined,
    stomp: external.portOf('stomp', secure ? 61614 : 61613),
    jolokia: external.portOf('jolokia', secure ? 8162 : 8161),
  })
}

interface BrokerAccess extends BrokerPorts {
  readonly user: string
  readonly password: string
  readonly authority: string | undefined
}

function statisticsOf({
  host,
  jolokia,
  user,
  password,
  authority,
}: Omit<BrokerAccess, 'stomp'> & { readonly host: string }) {
  const url = `${authority ? 'https' : 'http'}://${host}:${jolokia}/api/jolokia/`
  return new ActivemqStatistics(url, { user, password, ca: authority })
}

export class ActivemqServer extends RigServer {
  /** Of the rig's own administrator. */
  readonly user: string
  readonly password: string
  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  readonly authority: string | undefined
  readonly stompPort: number
  readonly jolokiaPort: number
  readonly statistics: ActivemqStatistics

  constructor(control: ServerControl, { user, password, authority, stomp, jolokia }: BrokerAccess) {
    super(control)
    this.user = user
    this.password = password
    this.authority = authority
    this.stompPort = stomp
    this.jolokiaPort = jolokia
    this.statistics = statisticsOf({ user, password, authority, host: control.host, jolokia })
  }

  /** Address of its AMQP 1.0. */
  url({ user = this.user, password = this.password } = {}): string {
    return this.#address(this.authority ? 'amqps' : 'amqp', this.port, user, password)
  }

  stompUrl({ user = this.user, password = this.password } = {}): string {
    return this.#address(this.authority ? 'stomp+ssl' : 'stomp', this.stompPort, user, password)
  }

  #address(scheme: string, port: number, user: string, password: string): string {
    return `${scheme}://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${this.host}:${port}`
  }
}

interface BrokerSetup {
  readonly daemon: Daemon
  readonly ports: BrokerPorts & { readonly amqp: number }
  readonly keyStore: KeyStore | undefined
  readonly configuration: string
  readonly users?: ActivemqOptions['users']
  readonly amqpTransformer?: ActivemqOptions['amqpTransformer']
}

async function writeConfiguration(setup: BrokerSetup): Promise<void> {
  const { daemon, ports, keyStore, configuration, users, amqpTransformer = 'native' } = setup
  const security = keyStore ? '+ssl' : ''
  const xml = brokerXml({
    configuration,
    dataFolder: daemon.path('data'),
    users: { ...users, [admin.user]: { password: admin.password, groups: ['admins'] } },
    connectors: {
      amqp: `amqp${security}://${daemon.host}:${ports.amqp}?transport.transformer=${amqpTransformer}`,
      stomp: `stomp${security}://${daemon.host}:${ports.stomp}`,
    },
    keyStore,
  })
  await daemon.write('activemq.xml', xml)
  await daemon.write('jolokia.properties', jolokiaProperties(daemon, ports.jolokia, keyStore))
  await daemon.write('jolokia-access.xml', jolokiaAccess)
  await daemon.write('log4j2.properties', logging)
}

function javaArguments({ classpath, agent }: ActivemqFiles, daemon: Daemon, heapMb: number): string[] {
  return [
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    // Its file would lie outside the folder and outlive a kill.
    '-XX:-UsePerfData',
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
