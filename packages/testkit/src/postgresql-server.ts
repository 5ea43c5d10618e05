/**
 * A real PostgreSQL of a given major on a free port of loopback, with scram passwords and logical decoding, gone
 * without a trace when it is disposed of or when this process dies.
 */
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { giveOwnIdentity } from './cluster-identity.ts'
import { freePort } from './free-port.ts'
import { type OsUser, unprivilegedUser } from './os-user.ts'
import { pollUntil } from './poll-until.ts'
import { type PostgresqlMajor, postgresqlBinaries } from './postgresql-binaries.ts'
import { copyTemplate, postgresqlTemplate, rigPassword } from './postgresql-template.ts'
import { processesIn, ServerProcess } from './server-process.ts'
import { createTempFolder, type TempFolder } from './temp-folder.ts'

export interface PostgresqlOptions {
  readonly major: PostgresqlMajor
  /** Lines of postgresql.conf, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
  readonly superuserPassword?: string
  /** Where its folder is made: a small disk, say. */
  readonly within?: string
}

const rigSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '64MB',
  wal_level: 'logical',
  max_replication_slots: '20',
  max_wal_senders: '20',
  max_prepared_transactions: '10',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

export async function startPostgresql(options: PostgresqlOptions): Promise<PostgresqlServer> {
  const user = await unprivilegedUser()
  const binaries = await postgresqlBinaries(options.major, user)
  const template = await postgresqlTemplate(binaries, user)
  const folder = await createTempFolder(`postgresql-${options.major}`, user, options.within)
  const server = new PostgresqlServer({
    major: options.major,
    program: join(binaries.folder, 'bin', 'postgres'),
    folder,
    user,
  })
  try {
    await copyTemplate(template, server.dataDir)
    await giveOwnIdentity(server.dataDir)
    await appendFile(join(server.dataDir, 'postgresql.conf'), configuration({ ...rigSettings, ...options.settings }))
    await server.startOnFreePort()
    if (options.superuserPassword !== undefined) await server.changePassword(options.superuserPassword)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

interface Installation {
  readonly major: PostgresqlMajor
  readonly program: string
  readonly folder: TempFolder
  readonly user: OsUser | undefined
}

export class PostgresqlServer implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly superuser = 'postgres'
  readonly major: PostgresqlMajor
  readonly dataDir: string
  readonly logFile: string
  readonly #installation: Installation
  #port = 0
  #password = rigPassword
  #process: ServerProcess | undefined

  constructor(installation: Installation) {
    this.#installation = installation
    this.major = installation.major
    this.dataDir = join(installation.folder.path, 'data')
    this.logFile = join(installation.folder.path, 'server.log')
  }

  get port(): number {
    return this.#port
  }

  /** Password of the superuser. */
  get password(): string {
    return this.#password
  }

  /** Process id of the postmaster. */
  get pid(): number {
    if (!this.#process?.running) throw new Error('The server does not run')
    return this.#process.pid
  }

  get running(): boolean {
    return this.#process?.running ?? false
  }

  /** Address of a database, for the superuser unless another is named. */
  url(database = 'postgres', user = this.superuser, password = this.password): string {
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    return `postgresql://${credentials}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  /** Rows of one statement, or of the last of several, by the superuser on a connection of its own. */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, database = 'postgres'): Promise<Row[]> {
    return queryOnce<Row>(this.url(database), sql)
  }

  async createDatabase(name: string): Promise<void> {
    await this.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`)
  }

  async changePassword(password: string): Promise<void> {
    await this.query(`ALTER ROLE postgres PASSWORD ${pg.escapeLiteral(password)}`)
    this.#password = password
  }

  /** `fast` ends sessions and writes a checkpoint; `immediate` leaves recovery to the next start. */
  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#process?.stop(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await this.#waitUntilGone()
  }

  /** As if the machine lost power, except that what was written to its files stays. */
  async kill(): Promise<void> {
    await this.#process?.stop('SIGKILL')
    await this.#waitUntilGone()
  }

  /** Starts it again on the same port and data, after a fast stop where it still runs. */
  async restart(): Promise<void> {
    await this.stop()
    await this.#launch()
  }

  async startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#port = await freePort()
      try {
        return await this.#launch()
      } catch (error) {
        // Somebody else took the port between our look and our start.
        if (attempt === 5 || !String(error).includes('could not bind')) throw error
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.stop('SIGQUIT', 5_000)
    await this.#waitUntilGone()
    await this.#installation.folder[Symbol.asyncDispose]()
  }

  async #launch(): Promise<void> {
    const { program, folder, user } = this.#installation
    const launched = await ServerProcess.launch({
      program,
      args: ['-D', this.dataDir, '-p', String(this.port)],
      cwd: this.dataDir,
      logFile: this.logFile,
      user,
    })
    folder.guard(launched.pid)
    this.#process = launched
    await launched.waitUntilReady(() => queryOnce(this.url(), 'SELECT 1'))
  }

  /** Children outlive a killed postmaster while a statement keeps them busy, and stand in the way of a restart. */
  async #waitUntilGone(): Promise<void> {
    await pollUntil('every process of the server is gone', async () => {
      const left = await processesIn(this.dataDir)
      for (const pid of left) killQuietly(pid)
      return left.length === 0
    })
    this.#installation.folder.guard(undefined)
  }
}

async function queryOnce<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {}) // The server may go away in between; the query then fails by itself.
  try {
    await client.connect()
    const results: pg.QueryResult<Row> | pg.QueryResult<Row>[] = await client.query<Row>(sql)
    return (Array.isArray(results) ? results.at(-1)?.rows : results.rows) ?? []
  } finally {
    await client.end().catch(() => {})
  }
}

function configuration(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`)
  return `\n${lines.join('\n')}\n`
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went by itself.
  }
}
