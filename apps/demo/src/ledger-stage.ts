/** The ledger: a PostgreSQL 13 behind PgBouncer, the wallet in front, and an empty PostgreSQL 17 as RDS offers it. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type PgbouncerServer, startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds, type RdsServer } from '@replatform/testkit/rds'
import { paymentsMain } from './payments-main.ts'
import { Program, runProgram } from './program.ts'

const database = 'wallet'
const consumersDatabase = 'consumers'

export interface LedgerOptions {
  readonly folder: string
  readonly accounts: number
  /** Rows of past transfers that the ledger holds before the move. */
  readonly history: number
}

export interface JudgeVerdict {
  readonly verdict: string
  readonly payments: number
  readonly lost: number
  readonly doubled: number
  readonly unknown: number
  readonly [corruption: string]: unknown
}

export class LedgerStage implements AsyncDisposable {
  /** For the command line. */
  readonly env: Readonly<Record<string, string>>
  /** Lines of the estate file below `stores`. */
  readonly store: string
  /** As services reach it, through the pooler. */
  readonly pooledUrl: string
  /** Of the new side, for judges. */
  readonly newUrl: string
  readonly walletUrl: string
  readonly #folder: string
  readonly #old: PostgresqlServer
  readonly #opened: AsyncDisposableStack

  static async open(options: LedgerOptions): Promise<LedgerStage> {
    await using opened = new AsyncDisposableStack()
    const source = opened.use(await startPostgresql({ major: 13, settings }))
    const target = opened.use(await asRds(await startPostgresql({ major: 17, settings })))
    const secrets = { WALLET_OWNER_PASSWORD: password(), WALLET_PASSWORD: password() }
    await createLedger({ source, target, secrets }, options)
    const pgbouncer = opened.use(
      await startPgbouncer({
        databases: { [database]: { host: source.host, port: source.port, dbname: database } },
        users: { wallet: secrets.WALLET_PASSWORD },
        poolMode: 'transaction',
      }),
    )
    const pooledUrl = pgbouncer.url(database, 'wallet', secrets.WALLET_PASSWORD)
    const wallet = opened.use(
      await Program.start({ main: paymentsMain('wallet-main'), args: [], env: { WALLET_DATABASE_URL: pooledUrl } }),
    )
    const { port } = await wallet.waitFor((line) => 'port' in line)
    const { folder } = options
    return new LedgerStage({ folder, source, target, pgbouncer, pooledUrl, port: Number(port), opened: opened.move() })
  }

  private constructor({ folder, source, target, pgbouncer, pooledUrl, port, opened }: Parts) {
    this.env = {
      LEDGER_SOURCE: source.url(database),
      LEDGER_TARGET: target.masterUrl(database),
      PGBOUNCER_ADMIN: pgbouncer.adminUrl,
    }
    this.store = `  ledger:
    source: { kind: postgresql, url: env:LEDGER_SOURCE }
    target: { kind: postgresql, service: rds, url: env:LEDGER_TARGET }
    switch: { pgbouncer: { admin: env:PGBOUNCER_ADMIN, database: ${database}, config: ${pgbouncer.configFile} } }
`
    this.pooledUrl = pooledUrl
    this.newUrl = target.server.url(database)
    this.walletUrl = `http://127.0.0.1:${port}`
    this.#folder = folder
    this.#old = source
    this.#opened = opened
  }

  /** What the consumers of events keep: a database of their own on the old server, which no fence of the ledger's touches. */
  async createConsumers(): Promise<string> {
    await this.#old.createDatabase(consumersDatabase)
    const url = this.#old.url(consumersDatabase)
    const env = { CONSUMERS_OWNER_URL: url, EVENTS_LEDGER_URL: this.#old.url(database) }
    await runProgram({ main: paymentsMain('consumers-main'), args: [], env })
    return url
  }

  /** Notes what stands there before anybody pays. */
  async recordBaseline(): Promise<void> {
    const env = { JUDGE_DATABASE_URL: this.#old.url(database) }
    await runProgram({ main: paymentsMain('judge-main'), args: ['--record-baseline', this.#baseline], env })
  }

  /** Holds the new side against what was asked for. */
  judge(journal: string): Promise<JudgeVerdict> {
    return runProgram({
      main: paymentsMain('judge-main'),
      args: ['--journal', journal, '--baseline', this.#baseline, '--json'],
      env: { JUDGE_DATABASE_URL: this.newUrl },
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  get #baseline(): string {
    return join(this.#folder, 'baseline.json')
  }
}

interface Parts {
  readonly folder: string
  readonly source: PostgresqlServer
  readonly target: RdsServer
  readonly pgbouncer: PgbouncerServer
  readonly pooledUrl: string
  readonly port: number
  readonly opened: AsyncDisposableStack
}

/** Sized for a machine with two cores that also runs everything else. */
const settings = { shared_buffers: '128MB', max_wal_size: '2GB', wal_sender_timeout: '60s' }

interface Ledgers {
  readonly source: PostgresqlServer
  readonly target: RdsServer
  readonly secrets: Readonly<Record<string, string>>
}

async function createLedger({ source, target, secrets }: Ledgers, { accounts, history }: LedgerOptions): Promise<void> {
  const main = paymentsMain('schema-main')
  await runProgram({
    main,
    args: ['--database', database, '--accounts', String(accounts), '--history', String(history)],
    env: { ...secrets, LEDGER_ADMIN_URL: source.url() },
  })
  // What a person does on RDS beforehand: the roles, that the master may act for their owner, an empty database.
  await runProgram({ main, args: ['--roles-only'], env: { ...secrets, LEDGER_ADMIN_URL: target.server.url() } })
  await target.server.query(`GRANT wallet_owner TO ${target.masterUser}`)
  await target.createDatabase(database)
}

function password(): string {
  return randomBytes(18).toString('base64url')
}
