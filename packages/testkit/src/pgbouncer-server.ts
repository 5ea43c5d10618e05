/** Debian's PgBouncer on a free port of loopback, gone when it is disposed of or when this process dies. */
import { join } from 'node:path'
import pg from 'pg'
import { debianProgram } from './debian-package.ts'
import { freePort } from './free-port.ts'
import { type OsUser, unprivilegedUser } from './os-user.ts'
import { ServerProcess } from './server-process.ts'
import { createTempFolder, type TempFolder } from './temp-folder.ts'

export interface PgbouncerDatabase {
  readonly host: string
  readonly port: number
  readonly dbname: string
}

export interface PgbouncerOptions {
  /** By the name that clients connect to. */
  readonly databases: Readonly<Record<string, PgbouncerDatabase>>
  /** Passwords by user: what clients log in with, and PgBouncer with them at the servers. */
  readonly users: Readonly<Record<string, string>>
  readonly poolMode?: 'transaction' | 'session' | 'statement'
  /** Server connections for each user and database. */
  readonly poolSize?: number
  /** Lines of its [pgbouncer] section, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
}

const admin = { user: 'pgbouncer_admin', password: 'rig-pgbouncer-admin' }

export async function startPgbouncer(options: PgbouncerOptions): Promise<PgbouncerServer> {
  const program = await debianProgram('pgbouncer', 'pgbouncer')
  const user = await unprivilegedUser()
  const folder = await createTempFolder('pgbouncer', user)
  const server = new PgbouncerServer({ program, folder, user })
  try {
    await server.writeOwned('databases.ini', databasesFile(options.databases))
    await server.writeOwned('userlist.txt', usersFile({ ...options.users, [admin.user]: admin.password }))
    await server.startOnFreePort(options)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

interface Installation {
  readonly program: string
  readonly folder: TempFolder
  readonly user: OsUser | undefined
}

export class PgbouncerServer implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly logFile: string
  /** The file that holds the [databases] section, and nothing else. */
  readonly configFile: string
  readonly #installation: Installation
  #port = 0
  #process: ServerProcess | undefined

  constructor(installation: Installation) {
    this.#installation = installation
    this.configFile = join(installation.folder.path, 'databases.ini')
    this.logFile = join(installation.folder.path, 'pgbouncer.log')
  }

  get port(): number {
    return this.#port
  }

  get pid(): number {
    if (!this.#process?.running) throw new Error('PgBouncer does not run')
    return this.#process.pid
  }

  get folder(): string {
    return this.#installation.folder.path
  }

  /** Throws while it does not answer. */
  async check(): Promise<void> {
    await askVersion(this.adminUrl)
  }

  /** Address of the admin console. */
  get adminUrl(): string {
    return this.url('pgbouncer', admin.user, admin.password)
  }

  url(database: string, user: string, password: string): string {
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    return `postgresql://${credentials}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  /** Ends at once, with whatever goes through it. */
  async stop(): Promise<void> {
    await this.#stop('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#stop('SIGKILL')
  }

  /** Starts it again on the same port with the files as they are now. */
  async restart(): Promise<void> {
    await this.stop()
    await this.#launch()
  }

  async startOnFreePort(options: PgbouncerOptions): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#port = await freePort()
      await this.writeOwned('pgbouncer.ini', this.#mainFile(options))
      try {
        return await this.#launch()
      } catch (error) {
        // Somebody else took the port between our look and our start.
        if (attempt === 5 || !String(error).includes('in use')) throw error
      }
    }
  }

  async writeOwned(name: string, content: string): Promise<void> {
    await this.#installation.folder.write(name, content)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await this.#installation.folder[Symbol.asyncDispose]()
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.stop(signal)
    this.#installation.folder.guard(undefined)
  }

  async #launch(): Promise<void> {
    const { program, folder, user } = this.#installation
    const launched = await ServerProcess.launch({
      program,
      args: [join(folder.path, 'pgbouncer.ini')],
      cwd: folder.path,
      logFile: this.logFile,
      user,
    })
    folder.guard(launched.pid)
    this.#process = launched
    await launched.waitUntilReady(() => this.check())
  }

  #mainFile({ poolMode = 'transaction', poolSize = 20, settings }: PgbouncerOptions): string {
    const all = {
      listen_addr: this.host,
      listen_port: String(this.port),
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: join(this.#installation.folder.path, 'userlist.txt'),
      admin_users: admin.user,
      pool_mode: poolMode,
      default_pool_size: String(poolSize),
      max_client_conn: '500',
      ignore_startup_parameters: 'extra_float_digits',
      ...settings,
    }
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`)
    return `%include ${this.configFile}\n\n[pgbouncer]\n${lines.join('\n')}\n`
  }
}

function databasesFile(databases: PgbouncerOptions['databases']): string {
  const lines = Object.entries(databases).map(
    ([name, { host, port, dbname }]) => `${name} = host=${host} port=${port} dbname=${dbname}`,
  )
  return `[databases]\n${lines.join('\n')}\n`
}

function usersFile(users: PgbouncerOptions['users']): string {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`
  return Object.entries(users)
    .map(([name, password]) => `${quoted(name)} ${quoted(password)}\n`)
    .join('')
}

async function askVersion(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SHOW VERSION')
  } finally {
    await client.end().catch(() => {})
  }
}
