/** A real MariaDB (10.11, Debian) on a free port of loopback, with a binary log that a follower can read. */
import { randomInt } from 'node:crypto'
import { chown } from 'node:fs/promises'
import { dirname } from 'node:path'
import mysql from 'mysql2/promise'
import { cached } from './cache.ts'
import {
  type CertificateFiles,
  type ServerCertificate,
  serverCertificate,
  writeCertificate,
} from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { debianProgram } from './debian-package.ts'
import { type ExternalServer, externalAuthority, externalServer } from './external-server.ts'
import { type OsUser, unprivilegedUser } from './os-user.ts'
import { masterGrants, rdsProcedures } from './rds-mariadb.ts'
import { RigServer, type ServerControl } from './rig-server.ts'
import { runProgram } from './run-program.ts'

export interface MariadbOptions {
  /** Where its folder is made: a small disk, say. */
  readonly within?: string
  /** `rds`: the ordinary user is RDS's master, who has no SUPER and none of the rights that stand in for it. */
  readonly flavour?: 'plain' | 'rds'
  /** Lines of its [mariadbd] section, over the rig's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
}

interface MariadbUser {
  readonly name: string
  readonly password: string
}

/** May do anything: for the rig and its faults, never for what is under test. */
const admin: MariadbUser = { name: 'rig-admin', password: 'rig-admin' }
const users = {
  plain: { name: 'root', password: 'rig-mariadb' },
  rds: { name: 'master', password: 'rig-master' },
} satisfies Record<string, MariadbUser>

/** `RIG_MARIADB_URL` and `RIG_RDS_MARIADB_URL` name servers to be used instead. */
export async function startMariadb(options: MariadbOptions = {}): Promise<MariadbServer> {
  const { flavour = 'plain', tls = false } = options
  const external = externalServer(flavour === 'plain' ? 'mariadb' : 'rds-mariadb')
  if (external) return new MariadbServer(external, access(external))

  const { program, template } = await installMariadb()
  const certificate = await serverCertificate(tls)
  const daemon = await Daemon.create({
    within: options.within,
    name: 'mariadb',
    program,
    args: () => [`--defaults-file=${daemon.path('my.cnf')}`],
    ready: () => server.query('SELECT 1'),
  })
  const server = new MariadbServer(daemon, { user: users[flavour], admin, authority: certificate?.authority })
  try {
    await runProgram('cp', ['-a', '--reflink=auto', template, daemon.path('data')])
    const files = certificate && (await writeCertificate(daemon, certificate))
    await daemon.write('first-start.sql', firstStart(flavour))
    await daemon.start((port) => daemon.write('my.cnf', configuration({ options, daemon, port, files })))
    // Later starts must not bring back what a test has changed since.
    await daemon.write('first-start.sql', '')
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

interface MariadbAccess {
  readonly user: MariadbUser
  readonly admin: MariadbUser
  /** In PEM, when clients must use TLS. */
  readonly authority: string | undefined
}

export class MariadbServer extends RigServer {
  readonly #access: MariadbAccess

  constructor(control: ServerControl, access: MariadbAccess) {
    super(control)
    this.#access = access
  }

  /** The ordinary user: root, or RDS's master. */
  get user(): string {
    return this.#access.user.name
  }

  get password(): string {
    return this.#access.user.password
  }

  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  get authority(): string | undefined {
    return this.#access.authority
  }

  /** Address of a database, for the ordinary user unless another is named. */
  url(database = '', user = this.user, password = this.password): string {
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    return `mysql://${credentials}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  /** Rows of one statement by the rig's own user, whom no flavour restricts, on a connection of its own. */
  async query<Row extends object = Record<string, unknown>>(sql: string, database = ''): Promise<Row[]> {
    const { name, password } = this.#access.admin
    await using connection = await this.connect(this.url(database, name, password))
    const [rows] = await connection.query(sql)
    return Array.isArray(rows) ? (rows as Row[]) : []
  }

  /** For the ordinary user unless an address is given. */
  async connect(url = this.url()): Promise<mysql.Connection & AsyncDisposable> {
    const connection = await mysql.createConnection({
      uri: url,
      connectTimeout: 5_000,
      supportBigNumbers: true,
      bigNumberStrings: true,
      ...(this.authority && { ssl: { ca: this.authority } }),
    })
    return Object.assign(connection, {
      async [Symbol.asyncDispose]() {
        connection.destroy()
      },
    })
  }
}

function access(external: ExternalServer): MariadbAccess {
  const { username, password, searchParams } = external.url
  const user = { name: decodeURIComponent(username), password: decodeURIComponent(password) }
  return { user, admin: user, authority: searchParams.has('ssl') ? externalAuthority() : undefined }
}

export async function installMariadb(): Promise<{ readonly program: string; readonly template: string }> {
  const program = await debianProgram('mariadbd', 'mariadb-server')
  return { program, template: await dataTemplate(await unprivilegedUser()) }
}

/** A data directory as the installation leaves it: copying it is faster than making it. */
async function dataTemplate(user: OsUser | undefined): Promise<string> {
  const install = await debianProgram('mariadb-install-db', 'mariadb-server')
  return cached('mariadb-template', async (fresh) => {
    const parent = dirname(fresh)
    if (user) await chown(parent, user.uid, user.gid)
    const how = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
    await runProgram(
      install,
      ['--no-defaults', `--datadir=${fresh}`, `--tmpdir=${parent}`, '--innodb-log-file-size=16M', ...how],
      { user, cwd: parent },
    )
  })
}

function firstStart(flavour: 'plain' | 'rds'): string {
  const { name, password } = users[flavour]
  const all = 'ALL PRIVILEGES'
  const statements = [
    // The installation leaves a root that needs no password.
    "DROP USER IF EXISTS 'root'@'localhost', 'root'@'127.0.0.1', 'root'@'::1', ''@'localhost'",
    ...createUser(admin, all),
    ...createUser({ name, password }, flavour === 'plain' ? all : masterGrants),
    ...(flavour === 'rds' ? rdsProcedures() : []),
  ]
  // The file is read line by line.
  return statements.map((statement) => `${statement.replaceAll(/\s+/g, ' ')};\n`).join('')
}

function createUser({ name, password }: MariadbUser, rights: string): string[] {
  const user = `${mysql.escape(name)}@'%'`
  return [
    `CREATE USER ${user} IDENTIFIED BY ${mysql.escape(password)}`,
    `GRANT ${rights} ON *.* TO ${user} WITH GRANT OPTION`,
  ]
}

interface Placement {
  readonly options: MariadbOptions
  readonly daemon: Daemon
  readonly port: number
  readonly files: CertificateFiles | undefined
}

function configuration({ options, daemon, port, files }: Placement): string {
  const all = {
    bind_address: daemon.host,
    port: String(port),
    socket: daemon.path('server.sock'),
    pid_file: daemon.path('server.pid'),
    datadir: daemon.path('data'),
    tmpdir: daemon.folder,
    init_file: daemon.path('first-start.sql'),
    ...(files && {
      ssl_ca: files.authority,
      ssl_cert: files.certificate,
      ssl_key: files.key,
      require_secure_transport: 'ON',
    }),
    skip_name_resolve: 'ON',
    character_set_server: 'utf8mb4',
    default_time_zone: '+00:00',
    // A follower takes two servers of one id for the same.
    server_id: String(randomInt(1, 2 ** 31)),
    log_bin: daemon.path('data/binlog'),
    binlog_format: 'ROW',
    binlog_row_image: 'FULL',
    binlog_row_metadata: 'FULL',
    gtid_strict_mode: 'ON',
    // What a killed process has handed to the kernel stays; only a power cut would lose it.
    innodb_flush_log_at_trx_commit: '2',
    innodb_log_file_size: '16M',
    innodb_buffer_pool_size: '64M',
    performance_schema: 'OFF',
    ...options.settings,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`)
  return `[mariadbd]\n${lines.join('')}`
}
