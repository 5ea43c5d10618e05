/**
 * Debian's RabbitMQ without its service: every node has its own home, cookie, port mapper and ports, so that several
 * live side by side, and is gone when it is disposed of or when this process dies.
 */
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianProgram } from './debian-package.ts'
import { type OsUser, unprivilegedUser } from './os-user.ts'
import { startEpmd } from './rabbitmq-epmd.ts'
import { type RabbitmqDefinitions, RabbitmqManagement } from './rabbitmq-management.ts'
import { onFreePorts, RestartableServer } from './restartable-server.ts'
import { createTempFolder } from './temp-folder.ts'

export interface RabbitmqOptions {
  /** Imported when the node is ready: users, virtual hosts, queues, exchanges, bindings, policies. */
  readonly definitions?: RabbitmqDefinitions
  /** Beyond the management plugin and the two that move messages. */
  readonly plugins?: readonly string[]
  /** Lines of its rabbitmq.conf, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
}

const basicPlugins = ['rabbitmq_management', 'rabbitmq_shovel', 'rabbitmq_federation']
const program = '/usr/lib/rabbitmq/bin/rabbitmq-server'

export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<RabbitmqServer> {
  await debianProgram('rabbitmq-server', 'rabbitmq-server')
  const server = await onFreePorts(4, (port = 0, management = 0, distribution = 0, epmd = 0) =>
    startOn({ port, management, distribution, epmd }, options),
  )
  try {
    if (options.definitions) await server.management.importDefinitions(options.definitions)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

interface NodePorts {
  readonly port: number
  readonly management: number
  readonly distribution: number
  readonly epmd: number
}

const host = '127.0.0.1'
const admin = { user: 'rig', password: 'rig-rabbitmq' }

async function startOn(ports: NodePorts, options: RabbitmqOptions): Promise<RabbitmqServer> {
  const owner = await unprivilegedUser()
  const management = new RabbitmqManagement(`http://${host}:${ports.management}`, admin)
  const epmd = await startEpmd(ports.epmd, owner)
  try {
    const node = await startNode({ ports, options, owner, management })
    return new RabbitmqServer({ port: ports.port, management, node, epmd })
  } catch (error) {
    await epmd[Symbol.asyncDispose]()
    throw error
  }
}

interface NodeParts {
  readonly ports: NodePorts
  readonly options: RabbitmqOptions
  readonly owner: OsUser | undefined
  readonly management: RabbitmqManagement
}

async function startNode({ ports, options, owner, management }: NodeParts): Promise<RestartableServer> {
  const folder = await createTempFolder('rabbitmq', owner)
  const files = {
    'rabbitmq.conf': configFile(ports, options),
    'enabled_plugins': `[${[...basicPlugins, ...(options.plugins ?? [])].join(',')}].\n`,
  }
  for (const [name, content] of Object.entries(files)) await writeOwned(join(folder.path, name), content, owner)
  return RestartableServer.start({
    folder,
    command: {
      program,
      args: [],
      cwd: folder.path,
      logFile: join(folder.path, 'console.log'),
      user: owner,
      env: environment(folder.path, ports),
    },
    ready: () => management.call('GET', `health/checks/port-listener/${ports.port}`),
    readyWithinMs: 90_000,
  })
}

function configFile(ports: NodePorts, { settings }: RabbitmqOptions): string {
  const all = {
    'listeners.tcp.default': `${host}:${ports.port}`,
    'management.tcp.ip': host,
    'management.tcp.port': String(ports.management),
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

function environment(folder: string, ports: NodePorts): Record<string, string> {
  return {
    // Erlang's cookie lies there.
    HOME: folder,
    ERL_EPMD_ADDRESS: host,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_CRASH_DUMP_BYTES: '0',
    RABBITMQ_NODENAME: 'rig@localhost',
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'generated'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    // Its script then becomes the server instead of waiting for it: the id that we know is the server's.
    RUNNING_UNDER_SYSTEMD: 'true',
  }
}

async function writeOwned(path: string, content: string, owner: OsUser | undefined): Promise<void> {
  await writeFile(path, content, { mode: 0o600 })
  if (owner) await chown(path, owner.uid, owner.gid)
}

export class RabbitmqServer implements AsyncDisposable {
  readonly host = host
  readonly user = admin.user
  readonly password = admin.password
  readonly port: number
  readonly management: RabbitmqManagement
  readonly #node: RestartableServer
  readonly #epmd: RestartableServer

  constructor(parts: {
    readonly port: number
    readonly management: RabbitmqManagement
    readonly node: RestartableServer
    readonly epmd: RestartableServer
  }) {
    this.port = parts.port
    this.management = parts.management
    this.#node = parts.node
    this.#epmd = parts.epmd
  }

  get pid(): number {
    return this.#node.pid
  }

  url({ user = this.user, password = this.password, vhost = '/' } = {}): string {
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    return `amqp://${credentials}@${this.host}:${this.port}/${encodeURIComponent(vhost)}`
  }

  /** Ends in an orderly way; what is durable is there after `restart`. */
  async stop(): Promise<void> {
    await this.#node.stop()
  }

  async kill(): Promise<void> {
    await this.#node.kill()
  }

  async restart(): Promise<void> {
    await this.#node.restart()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]()
    await this.#epmd[Symbol.asyncDispose]()
  }
}
