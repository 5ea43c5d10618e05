/**
 * Debian's RabbitMQ 3.10, or 4.0 of its next release, without its service: every node has its own home, cookie, port mapper and ports, so that
 * several live side by side, and is gone when it is disposed of or when this process dies.
 */
import {
  type CertificateFiles,
  type ServerCertificate,
  serverCertificate,
  writeCertificate,
} from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { debianProgram } from './debian-package.ts'
import { type ExternalServer, externalAuthority, externalServer } from './external-server.ts'
import { freePort } from './free-port.ts'
import { amazonMqDefaults, amazonMqFeatureFlags, assertPermittedByAmazonMq } from './rabbitmq-amazon-mq.ts'
import { startEpmd } from './rabbitmq-epmd.ts'
import { type RabbitmqDefinitions, RabbitmqManagement } from './rabbitmq-management.ts'
import { type RabbitmqFiles, rabbitmq4Files } from './rabbitmq4-distribution.ts'
import { RigServer, type ServerControl } from './rig-server.ts'

export interface RabbitmqOptions {
  /** `4.0` is Debian 13's, with an Erlang of its own. */
  readonly version?: '3.10' | '4.0'
  /** `amazon-mq`: TLS only, its plugins, its settings and its default policy. */
  readonly flavour?: 'plain' | 'amazon-mq'
  /** Imported when the node is ready: users, virtual hosts, queues, exchanges, bindings, policies. */
  readonly definitions?: RabbitmqDefinitions
  /** Beyond management, shovel and federation. */
  readonly plugins?: readonly string[]
  /** Lines of its rabbitmq.conf, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
}

const basicPlugins = ['rabbitmq_management', 'rabbitmq_shovel', 'rabbitmq_federation']
const admin = { user: 'rig', password: 'rig-rabbitmq' }

async function filesOf(version: RabbitmqOptions['version']): Promise<RabbitmqFiles> {
  if (version === '4.0') return rabbitmq4Files()
  await debianProgram('rabbitmq-server', 'rabbitmq-server')
  // The one in /usr/sbin insists on root or on the service's user.
  return { program: '/usr/lib/rabbitmq/bin/rabbitmq-server', erlang: undefined }
}

/** `RIG_RABBITMQ_URL` and `RIG_AMAZON_MQ_RABBITMQ_URL` name brokers to be used instead. */
export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<RabbitmqServer> {
  const { flavour = 'plain', definitions, tls = flavour === 'amazon-mq' } = options
  const external = externalServer(flavour === 'plain' ? 'rabbitmq' : 'amazon-mq-rabbitmq')
  if (flavour === 'amazon-mq') {
    assertPermittedByAmazonMq(options)
    if (!tls) throw new Error('Amazon MQ takes no plain connections')
  }
  const server = external ? externalBroker(external) : await startNode(options, await serverCertificate(tls))
  try {
    if (flavour === 'amazon-mq' && !external) await server.management.importDefinitions(amazonMqDefaults)
    if (definitions) await server.management.importDefinitions(definitions)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

async function startNode(
  options: RabbitmqOptions,
  certificate: ServerCertificate | undefined,
): Promise<RabbitmqServer> {
  const { program, erlang } = await filesOf(options.version)
  const authority = certificate?.authority
  let management = managementOf({ ...admin, authority, host: '', managementPort: 0 })
  const epmd = await startEpmd()
  const daemon: Daemon = await Daemon.create({
    name: 'rabbitmq',
    program,
    args: () => [],
    env: () => ({
      ...environment(daemon, epmd, options),
      ...(erlang ? { PATH: `${erlang}:${process.env.PATH}` } : {}),
    }),
    ready: () => management.checkListener(daemon.port),
    readyWithinMs: 90_000,
  })
  try {
    const files = certificate && (await writeCertificate(daemon, certificate))
    await daemon.write('enabled_plugins', `[${[...basicPlugins, ...(options.plugins ?? [])].join(',')}].\n`)
    let managementPort = 0
    await daemon.start(async (port) => {
      managementPort = await freePort()
      management = managementOf({ ...admin, authority, host: daemon.host, managementPort })
      const ports = { port, managementPort, distributionPort: await freePort() }
      await daemon.write('rabbitmq.conf', configFile({ host: daemon.host, ports, files, settings: options.settings }))
    })
    return new RabbitmqServer(daemon, { ...admin, authority, managementPort }, epmd)
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    await epmd[Symbol.asyncDispose]()
    throw error
  }
}

/** Its management listens where RabbitMQ puts it unless the address names another port. */
function externalBroker(external: ExternalServer): RabbitmqServer {
  const { username, password, protocol } = external.url
  const secure = protocol === 'amqps:'
  return new RabbitmqServer(external, {
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    authority: secure ? externalAuthority() : undefined,
    managementPort: external.portOf('management', secure ? 15671 : 15672),
  })
}

interface BrokerAccess {
  readonly user: string
  readonly password: string
  readonly authority: string | undefined
  readonly managementPort: number
}

function managementOf({ host, user, password, authority, managementPort }: BrokerAccess & { readonly host: string }) {
  const url = `${authority ? 'https' : 'http'}://${host}:${managementPort}`
  return new RabbitmqManagement(url, { user, password, ca: authority })
}

export class RabbitmqServer extends RigServer {
  /** Of the rig's own administrator. */
  readonly user: string
  readonly password: string
  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  readonly authority: string | undefined
  /** Its HTTP API, as the rig's own administrator. */
  readonly management: RabbitmqManagement
  readonly managementPort: number
  readonly #epmd: Daemon | undefined

  constructor(control: ServerControl, access: BrokerAccess, epmd?: Daemon) {
    super(control)
    this.user = access.user
    this.password = access.password
    this.authority = access.authority
    this.managementPort = access.managementPort
    this.management = managementOf({ ...access, host: control.host })
    this.#epmd = epmd
  }

  /** Address of its AMQP 0-9-1. */
  url({ user = this.user, password = this.password, vhost = '/' } = {}): string {
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    const scheme = this.authority ? 'amqps' : 'amqp'
    return `${scheme}://${credentials}@${this.host}:${this.port}/${encodeURIComponent(vhost)}`
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]()
    await this.#epmd?.[Symbol.asyncDispose]()
  }
}

interface NodeSetup {
  readonly host: string
  readonly ports: { readonly port: number; readonly managementPort: number; readonly distributionPort: number }
  readonly files: CertificateFiles | undefined
  readonly settings: RabbitmqOptions['settings']
}

function configFile({ host, ports, files, settings }: NodeSetup): string {
  const all = {
    ...listeners(host, ports, files),
    'distribution.listener.port_range.min': String(ports.distributionPort),
    // Taken in turn: no other node can be in the way.
    'distribution.listener.port_range.max': String(ports.distributionPort + 99),
    'distribution.listener.interface': host,
    // In place of guest, whose password everybody knows.
    'default_user': admin.user,
    'default_pass': admin.password,
    // Both follow the machine otherwise, and a full machine would block every publisher of a test.
    'vm_memory_high_watermark.absolute': '1GB',
    'disk_free_limit.absolute': '100MB',
    'log.console': 'true',
    'log.file': 'false',
    ...settings,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

function listeners(host: string, { port, managementPort }: NodeSetup['ports'], files: CertificateFiles | undefined) {
  if (!files) {
    return {
      'listeners.tcp.default': `${host}:${port}`,
      'management.tcp.ip': host,
      'management.tcp.port': String(managementPort),
    }
  }
  return {
    'listeners.tcp': 'none',
    'listeners.ssl.default': `${host}:${port}`,
    'ssl_options.cacertfile': files.authority,
    'ssl_options.certfile': files.certificate,
    'ssl_options.keyfile': files.key,
    'management.ssl.ip': host,
    'management.ssl.port': String(managementPort),
    'management.ssl.cacertfile': files.authority,
    'management.ssl.certfile': files.certificate,
    'management.ssl.keyfile': files.key,
  }
}

function environment(daemon: Daemon, epmd: Daemon, { flavour }: RabbitmqOptions): Record<string, string> {
  return {
    // Erlang keeps its cookie there.
    HOME: daemon.folder,
    ERL_EPMD_ADDRESS: epmd.host,
    ERL_EPMD_PORT: String(epmd.port),
    ERL_CRASH_DUMP_BYTES: '0',
    RABBITMQ_NODENAME: 'rig@localhost',
    RABBITMQ_CONFIG_FILE: daemon.path('rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: daemon.path('advanced.config'),
    RABBITMQ_GENERATED_CONFIG_DIR: daemon.path('generated'),
    RABBITMQ_CONF_ENV_FILE: daemon.path('rabbitmq-env.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: daemon.path('enabled_plugins'),
    RABBITMQ_MNESIA_BASE: daemon.path('mnesia'),
    RABBITMQ_LOG_BASE: daemon.path('log'),
    // Its script then becomes the server instead of waiting for it: the id that we know is the server's.
    RUNNING_UNDER_SYSTEMD: 'true',
    // Threads that spin while they wait would take the cores from the other servers of a rig.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +sbwtdcpu none +sbwtdio none',
    ...(flavour === 'amazon-mq' ? { RABBITMQ_FEATURE_FLAGS: amazonMqFeatureFlags.join(',') } : {}),
  }
}
