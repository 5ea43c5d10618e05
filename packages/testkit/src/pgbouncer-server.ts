/** Debian's PgBouncer on a free port of loopback, gone when it is disposed of or when this process dies. */
import pg from 'pg'
import {
  type CertificateFiles,
  type ServerCertificate,
  serverCertificate,
  writeCertificate,
} from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { debianProgram } from './debian-package.ts'
import { RigServer } from './rig-server.ts'

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
  /** Clients must use TLS; `true` for a certificate of the rig's authority, which the addresses name. */
  readonly tls?: boolean | ServerCertificate
  /** Lines of its [pgbouncer] section, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
}

const admin = { user: 'pgbouncer_admin', password: 'rig-pgbouncer-admin' }

/** Never somebody else's: it leads to servers on ports that are not known before, and is told of them at its start. */
export async function startPgbouncer(options: PgbouncerOptions): Promise<PgbouncerServer> {
  const certificate = await serverCertificate(options.tls ?? false)
  const daemon = await Daemon.create({
    name: 'pgbouncer',
    program: await debianProgram('pgbouncer', 'pgbouncer'),
    args: () => ['pgbouncer.ini'],
    ready: async () => server.check(),
  })
  const server = new PgbouncerServer(daemon, certificate?.authority)
  try {
    const files = certificate && (await writeCertificate(daemon, certificate))
    await daemon.write('databases.ini', databasesFile(options.databases))
    await daemon.write('userlist.txt', usersFile({ ...options.users, [admin.user]: admin.password }))
    await daemon.start((port) => daemon.write('pgbouncer.ini', mainFile(options, { daemon, port, files })))
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

export class PgbouncerServer extends RigServer {
  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  readonly authority: string | undefined
  /** The file that holds the [databases] section, and nothing else. */
  readonly configFile: string
  readonly #tlsParameters: string

  constructor(daemon: Daemon, authority: string | undefined) {
    super(daemon)
    this.authority = authority
    this.configFile = daemon.path('databases.ini')
    const file = encodeURIComponent(daemon.path('authority.pem'))
    this.#tlsParameters = authority === undefined ? '' : `?sslmode=verify-full&sslrootcert=${file}`
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
    return `postgresql://${credentials}@${this.host}:${this.port}/${encodeURIComponent(database)}${this.#tlsParameters}`
  }

  /** Ends at once, with whatever goes through it. */
  override async stop(): Promise<void> {
    await super.stop()
  }

  /** Starts it again on the same port with the files as they are now. */
  override async restart(): Promise<void> {
    await super.restart()
  }
}

interface Placement {
  readonly daemon: Daemon
  readonly port: number
  readonly files: CertificateFiles | undefined
}

function mainFile(
  { poolMode = 'transaction', poolSize = 20, settings }: PgbouncerOptions,
  { daemon, port, files }: Placement,
): string {
  const all = {
    listen_addr: daemon.host,
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: daemon.path('userlist.txt'),
    admin_users: admin.user,
    pool_mode: poolMode,
    default_pool_size: String(poolSize),
    max_client_conn: '500',
    ignore_startup_parameters: 'extra_float_digits',
    ...(files && {
      client_tls_sslmode: 'require',
      client_tls_cert_file: files.certificate,
      client_tls_key_file: files.key,
    }),
    ...settings,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`)
  return `%include ${daemon.path('databases.ini')}\n\n[pgbouncer]\n${lines.join('\n')}\n`
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
