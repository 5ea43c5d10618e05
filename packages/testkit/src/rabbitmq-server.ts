/**
 * Debian's RabbitMQ without its service: every node has its own home, cookie, port mapper and ports, so that several
 * live side by side, and is gone when it is disposed of or when this process dies.
 */
import { Daemon } from './daemon.ts'
import { debianProgram } from './debian-package.ts'
import { freePort } from './free-port.ts'
import { startEpmd } from './rabbitmq-epmd.ts'
import { type RabbitmqDefinitions, RabbitmqManagement } from './rabbitmq-management.ts'

export interface RabbitmqOptions {
  /** Imported when the node is ready: users, virtual hosts, queues, exchanges, bindings, policies. */
  readonly definitions?: RabbitmqDefinitions
  /** Beyond management, shovel and federation. */
  readonly plugins?: readonly string[]
  /** Lines of its rabbitmq.conf, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
}

const basicPlugins = ['rabbitmq_management', 'rabbitmq_shovel', 'rabbitmq_federation']
const host = '127.0.0.1'
const admin = { user: 'rig', password: 'rig-rabbitmq' }
// The one in /usr/sbin insists on root or on the service's user.
const program = '/usr/lib/rabbitmq/bin/rabbitmq-server'

export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<RabbitmqServer> {
  await debianProgram('rabbitmq-server', 'rabbitmq-server')
  const epmd = await startEpmd()
  const daemon = await Daemon.create({
    name: 'rabbitmq',
    program,
    args: () => [],
    env: () => environment(daemon, epmd),
    ready: () => server.management.call('GET', `health/checks/port-listener/${daemon.port}`),
    readyWithinMs: 90_000,
  })
  const server = new RabbitmqServer(daemon, epmd)
  try {
    await server.start(options)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

export class RabbitmqServer implements AsyncDisposable {
  readonly host = host
  readonly user = admin.user
  readonly password = admin.password
  readonly #daemon: Daemon
  readonly #epmd: Daemon
  #management: RabbitmqManagement | undefined

  constructor(daemon: Daemon, epmd: Daemon) {
    this.#daemon = daemon
    this.#epmd = epmd
  }

  /** Where it speaks AMQP. */
  get port(): number {
    return this.#daemon.port
  }

  get pid(): number {
    return this.#daemon.pid
  }

  get logFile(): string {
    return this.#daemon.logFile
  }

  /** Its HTTP API, as the rig's own administrator. */
  get management(): RabbitmqManagement {
    if (!this.#management) throw new Error('RabbitMQ was not started')
    return this.#management
  }

  url({ user = this.user, password = this.password, vhost = '/' } = {}): string {
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    return `amqp://${credentials}@${this.host}:${this.port}/${encodeURIComponent(vhost)}`
  }

  async start({ definitions, plugins = [], settings = {} }: RabbitmqOptions): Promise<void> {
    await this.#daemon.write('enabled_plugins', `[${[...basicPlugins, ...plugins].join(',')}].\n`)
    await this.#daemon.start(async (port) => {
      const managementPort = await freePort()
      this.#management = new RabbitmqManagement(`http://${host}:${managementPort}`, admin)
      const ports = { port, managementPort, distributionPort: await freePort() }
      await this.#daemon.write('rabbitmq.conf', configFile(ports, settings))
    })
    if (definitions) await this.management.importDefinitions(definitions)
  }

  /** Ends in order; what is durable is there after `restart`. */
  async stop(): Promise<void> {
    await this.#daemon.stop()
  }

  async kill(): Promise<void> {
    await this.#daemon.kill()
  }

  async restart(): Promise<void> {
    await this.#daemon.restart()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
    await this.#epmd[Symbol.asyncDispose]()
  }
}

interface NodePorts {
  readonly port: number
  readonly managementPort: number
  readonly distributionPort: number
}

function configFile({ port, managementPort, distributionPort }: NodePorts, settings: Readonly<Record<string, string>>) {
  const all = {
    'listeners.tcp.default': `${host}:${port}`,
    'distribution.listener.interface': host,
    'management.tcp.ip': host,
    'management.tcp.port': String(managementPort),
    'distribution.listener.port_range.min': String(distributionPort),
    'distribution.listener.port_range.max': String(distributionPort),
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

function environment(daemon: Daemon, epmd: Daemon): Record<string, string> {
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
  }
}
