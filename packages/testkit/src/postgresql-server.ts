/**
 * A real PostgreSQL of a given major on a free port of loopback, with scram passwords and logical decoding, gone
 * without a trace when it is disposed of or when this process dies.
 */
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { type ServerCertificate, serverCertificate, writeCertificate } from './certificate-authority.ts'
import { giveOwnIdentity } from './cluster-identity.ts'
import { ExternalServer, externalServer } from './external-server.ts'
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
  /** Clients must use TLS; `true` for a certificate of the rig's authority, which the addresses name. */
  readonly tls?: boolean | ServerCertificate
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

/** `RIG_POSTGRESQL_13_URL` and the like name servers, and their superusers, to be used instead. */
export async function startPostgresql(options: PostgresqlOptions): Promise<PostgresqlServer> {
  const external = externalServer(`postgresql-${options.major}`)
  if (external) return new PostgresqlServer(external, options.major)
  const user = await unprivilegedUser()
  const binaries = await postgresqlBinaries(options.major, user)
  const template = await postgresqlTemplate(binaries, user)
  const folder = await createTempFolder(`postgresql-${options.major}`, user, options.within)
  const program = join(binaries.folder, 'bin', 'postgres')
  const certificate = await serverCertificate(options.tls ?? false)
  const server = new PostgresqlServer({ program, folder, user, tls: certificate !== undefined }, options.major)
  try {
    await copyTemplate(template, server.dataDir)
    await giveOwnIdentity(server.dataDir)
    const tlsSettings = certificate ? await requireTls(folder, certificate) : {}
    const settings = { ...rigSettings, ...tlsSettings, ...options.settings }
    await appendFile(join(server.dataDir, 'postgresql.conf'), configuration(settings))
    await server.startOnFreePort()
    if (options.superuserPassword !== undefined) await server.changePassword(options.superuserPassword)
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
  readonly tls: boolean
}

export class PostgresqlServer implements AsyncDisposable {
  readonly host: string
  readonly superuser: string
  readonly major: PostgresqlMajor
  readonly #place: Installation | ExternalServer
  #port = 0
  #password = rigPassword
  #process: ServerProcess | undefined

  constructor(place: Installation | ExternalServer, major: PostgresqlMajor) {
    this.#place = place
    this.major = major
    const given = place instanceof ExternalServer ? place.url : undefined
    this.host = given?.hostname ?? '127.0.0.1'
    this.#port = Number(given?.port || 5432)
    this.superuser = decodeURIComponent(given?.username ?? 'postgres')
    if (given) this.#password = decodeURIComponent(given.password)
  }

  get dataDir(): string {
    return join(this.#ours.folder.path, 'data')
  }

  get logFile(): string {
    return join(this.#ours.folder.path, 'server.log')
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
    if (this.#place instanceof ExternalServer) return this.#place.pid
    if (!this.#process?.running) throw new Error('The server does not run')
    return this.#process.pid
  }

  get running(): boolean {
    return this.#place instanceof ExternalServer || (this.#process?.running ?? false)
  }

  /** Address of a database, for the superuser unless another is named. */
  url(database = 'postgres', user = this.superuser, password = this.password): string {
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    return `postgresql://${credentials}@${this.host}:${this.port}/${encodeURIComponent(database)}${this.#tlsParameters}`
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
    if (this.#place instanceof ExternalServer) return this.#place.stop()
    await this.#process?.stop(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await this.#waitUntilGone()
  }

  /** As if the machine lost power, except that what was written to its files stays. */
  async kill(): Promise<void> {
    if (this.#place instanceof ExternalServer) return this.#place.kill()
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
    if (this.#place instanceof ExternalServer) return
    await this.#process?.stop('SIGQUIT', 5_000)
    await this.#waitUntilGone()
    await this.#place.folder[Symbol.asyncDispose]()
  }

  /** How a client is to use TLS stands behind the question mark. */
  get #tlsParameters(): string {
    if (this.#place instanceof ExternalServer) return this.#place.url.search
    if (!this.#place.tls) return ''
    return `?sslmode=verify-full&sslrootcert=${encodeURIComponent(join(this.#place.folder.path, 'authority.pem'))}`
  }

  get #ours(): Installation {
    if (this.#place instanceof ExternalServer) throw this.#place.refusal('has no files here')
    return this.#place
  }

  async #launch(): Promise<void> {
    const { program, folder, user } = this.#ours
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
    this.#ours.folder.guard(undefined)
  }
}

/** Writes the certificate where the server finds it, and turns away who comes without TLS. */
async function requireTls(folder: TempFolder, certificate: ServerCertificate): Promise<Record<string, string>> {
  const files = await writeCertificate(folder, certificate)
  const rules = join(folder.path, 'data', 'pg_hba.conf')
  const text = await readFile(rules, 'utf8')
  await writeFile(rules, text.replaceAll(/^host\b/gm, 'hostssl'))
  return { ssl: 'on', ssl_cert_file: files.certificate, ssl_key_file: files.key }
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
