/** What a payment company has before it moves: ledger and sessions, services under load; and empty servers in the cloud. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type PgbouncerServer, startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds, type RdsServer } from '@replatform/testkit/rds'
import { Program, runProgram } from './program.ts'
import { SessionsStage, type SessionsVerdict } from './sessions-stage.ts'

const payments = (name: string) => fileURLToPath(new URL(`../../../examples/payments/src/${name}.ts`, import.meta.url))
const database = 'wallet'

export interface StageOptions {
  readonly rate: number
  readonly accounts: number
  /** Rows of past transfers that the ledger holds before the move. */
  readonly history: number
  readonly seed: number
}

export class Stage implements AsyncDisposable {
  readonly folder: string
  readonly journal: string
  /** For the command line: the references of the estate file resolve in it. */
  readonly env: Readonly<Record<string, string>>
  readonly #opened: AsyncDisposableStack
  readonly #options: StageOptions
  readonly #parts: Parts
  #load: Program | null = null

  static async open(options: StageOptions): Promise<Stage> {
    await using opened = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'replatform-demo-'))
    opened.defer(() => rm(folder, { recursive: true, force: true }))
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
    const walletUrl = pgbouncer.url(database, 'wallet', secrets.WALLET_PASSWORD)
    const wallet = opened.use(
      new Program({ main: payments('wallet-main'), args: [], env: { WALLET_DATABASE_URL: walletUrl } }),
    )
    const { port } = await wallet.waitFor((line) => 'port' in line)
    const sessions = opened.use(await SessionsStage.open(folder))
    await writeFile(join(folder, 'estate.yaml'), estateFile(pgbouncer.configFile, sessions.store))
    return new Stage({
      folder,
      options,
      parts: { source, target, pgbouncer, wallet, sessions, port: Number(port) },
      opened: opened.move(),
    })
  }

  private constructor(stage: { folder: string; options: StageOptions; parts: Parts; opened: AsyncDisposableStack }) {
    const { folder, options, parts, opened } = stage
    this.folder = folder
    this.journal = join(folder, 'load.journal')
    this.env = {
      LEDGER_SOURCE: parts.source.url(database),
      LEDGER_TARGET: parts.target.masterUrl(database),
      PGBOUNCER_ADMIN: parts.pgbouncer.adminUrl,
      ...parts.sessions.env,
    }
    this.#options = options
    this.#parts = parts
    this.#opened = opened
  }

  /** Notes what the ledger holds, then lets payments and logins begin. */
  async startPayments(): Promise<void> {
    await this.#judge(['--record-baseline', this.#baseline])
    const { rate, accounts, seed } = this.#options
    const args = [
      '--url',
      `http://127.0.0.1:${this.#parts.port}`,
      '--rate',
      String(rate),
      '--accounts',
      String(accounts),
    ]
    this.#load = this.#opened.use(
      new Program({
        main: payments('load-main'),
        args: [...args, '--seed', String(seed), '--journal', this.journal, '--until-signal', '--settle'],
        env: {},
      }),
    )
    await this.#load.waitFor((line) => line.type === 'progress' && Number(line.acknowledged) > 0)
    await this.#parts.sessions.startLoad({ rate: Math.ceil(rate / 5), seed })
  }

  /** Every line that the load prints from now on. */
  onPayments(handler: (line: Readonly<Record<string, unknown>>) => void): void {
    this.#load?.onLine(handler)
  }

  /** What the load says of itself just now. */
  get payments(): LoadLine {
    return (this.#load?.lastLine ?? {}) as unknown as LoadLine
  }

  /** Ends the load: what is unknown is settled by asking again with the same key. */
  async stopPayments(): Promise<LoadLine> {
    await Promise.all([this.#load?.stop(), this.#parts.sessions.stopLoad()])
    return this.payments
  }

  /** Holds both sides against what was asked for. */
  judge(): Promise<JudgeVerdict> {
    return this.#judge(['--journal', this.journal, '--baseline', this.#baseline, '--json'])
  }

  judgeSessions(): Promise<SessionsVerdict> {
    return this.#parts.sessions.judge()
  }

  /** What payments felt between two instants. */
  pauseWithin(from: string, to: string): Promise<FeltPause> {
    return runProgram({
      main: payments('pause-main'),
      args: ['--journal', this.journal, '--from', from, '--to', to],
      env: {},
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  get #baseline(): string {
    return join(this.folder, 'baseline.json')
  }

  /** The new side is judged; the old one must agree with it. Before the move there is only the old one. */
  #judge<T>(args: readonly string[]): Promise<T> {
    const { source, target } = this.#parts
    const old = source.url(database)
    const isBefore = args[0] === '--record-baseline'
    const env: Record<string, string> = isBefore
      ? { JUDGE_DATABASE_URL: old }
      : { JUDGE_DATABASE_URL: target.server.url(database), JUDGE_OTHER_DATABASE_URL: old }
    return runProgram({ main: payments('judge-main'), args, env })
  }
}

interface Parts {
  readonly source: PostgresqlServer
  readonly target: RdsServer
  readonly pgbouncer: PgbouncerServer
  readonly wallet: Program
  readonly sessions: SessionsStage
  readonly port: number
}

export interface LoadLine {
  readonly requests: number
  readonly acknowledged: number
  readonly refused: number
  readonly unknown: number
  readonly longestGapMs: number
  readonly p99Ms: number
}

export interface FeltPause {
  readonly longestGapMs: number
  readonly p99LatencyMs: number
  readonly maxLatencyMs: number
  readonly acknowledged: number
}

export interface JudgeVerdict {
  readonly verdict: string
  readonly payments: number
  readonly lost: number
  readonly doubled: number
  readonly unknown: number
  readonly [corruption: string]: unknown
}

/** Sized for a machine with two cores that also runs everything else. */
const settings = { shared_buffers: '128MB', max_wal_size: '2GB', wal_sender_timeout: '60s' }

async function createLedger(
  { source, target, secrets }: { source: PostgresqlServer; target: RdsServer; secrets: Record<string, string> },
  { accounts, history }: StageOptions,
): Promise<void> {
  const main = payments('schema-main')
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

function estateFile(pgbouncerConfig: string, sessions: string): string {
  return `estate: wallet
stores:
  ledger:
    source: { kind: postgresql, url: env:LEDGER_SOURCE }
    target: { kind: postgresql, service: rds, url: env:LEDGER_TARGET }
    switch: { pgbouncer: { admin: env:PGBOUNCER_ADMIN, database: ${database}, config: ${pgbouncerConfig} } }
${sessions}waves:
  - { name: payments, phase: rehost, moves: [ledger, sessions], pauseBudget: 4s, rollbackBudget: 10s }
`
}

function password(): string {
  return randomBytes(18).toString('base64url')
}
