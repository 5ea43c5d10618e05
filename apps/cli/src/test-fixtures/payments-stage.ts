import type { PgbouncerServer } from '@replatform/testkit/pgbouncer-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import type { RdsServer } from '@replatform/testkit/rds'
import pg from 'pg'
import { expect } from 'vitest'
import { CliRig, move } from './cli-rig.ts'
import type { LockHolder } from './lock-holder.ts'
import { Payer } from './payer.ts'
import { database, WalletServers } from './wallet-servers.ts'

/** Long enough for a test to look around inside the write pause. */
const pauseBudget = '30s'

export type Place = 'old' | 'new'

/** An old server, a new one in the shape of RDS, and PgBouncer in front, through which payments go all the time. */
export class PaymentsStage implements AsyncDisposable {
  readonly old: PostgresqlServer
  readonly fresh: RdsServer
  readonly pgbouncer: PgbouncerServer
  readonly rig: CliRig
  readonly #servers: WalletServers
  readonly #opened: AsyncDisposableStack
  readonly #payers: readonly Payer[]
  /** Acknowledged payments that a test made itself. */
  readonly #others: string[] = []

  static async open(): Promise<PaymentsStage> {
    await using opened = new AsyncDisposableStack()
    const servers = opened.use(await WalletServers.start())
    const rig = opened.use(await CliRig.create({ estate: estateOf(servers), env: servers.env }))
    const payers = [1, 2].map((n) => opened.use(new Payer(`payer-${n}`, servers.url)))
    return new PaymentsStage({ servers, rig, payers, opened: opened.move() })
  }

  private constructor(parts: Parts) {
    this.old = parts.servers.old
    this.fresh = parts.servers.fresh
    this.pgbouncer = parts.servers.pgbouncer
    this.#servers = parts.servers
    this.rig = parts.rig
    this.#payers = parts.payers
    this.#opened = parts.opened
  }

  server(place: Place): PostgresqlServer {
    return place === 'old' ? this.old : this.fresh.server
  }

  /** For whoever looks or locks: the superuser, whom no fence keeps out. */
  superuserUrl(place: Place): string {
    return this.server(place).url(database)
  }

  /** Until every payer has had payments acknowledged that it asked for from now on. */
  async paysOn(): Promise<void> {
    const before = this.#payers.map(({ acknowledged }) => acknowledged.length)
    const goOn = () => this.#payers.every(({ acknowledged }, i) => acknowledged.length > (before[i] ?? 0) + 3)
    await pollUntil('payments go on', goOn)
  }

  /** Keeps PgBouncer from holding, as a slow application does. */
  async openTransaction(): Promise<AsyncDisposable> {
    const client = new pg.Client({ connectionString: this.#servers.url })
    client.on('error', () => {})
    await client.connect()
    await client.query('BEGIN; SELECT FROM accounts')
    return { [Symbol.asyncDispose]: () => client.end() }
  }

  /** The last payment before the fence: in the transaction of a writer that the fence waits for. */
  async payLast(writer: LockHolder): Promise<void> {
    const reference = `last-${this.#others.length}`
    await writer.query(`INSERT INTO payments (reference, amount) VALUES ('${reference}', 1)`)
    await writer.release()
    this.#others.push(reference)
  }

  /** It keeps its connections and answers nobody. */
  freezePooler(): AsyncDisposable {
    const { pid } = this.pgbouncer
    process.kill(pid, 'SIGSTOP')
    return { [Symbol.asyncDispose]: async () => void process.kill(pid, 'SIGCONT') }
  }

  /** `none` where no fence ever stood. */
  async fenceState(place: Place): Promise<string> {
    const server = this.server(place)
    const [made] = await server.query<{ is: boolean }>(
      `SELECT to_regclass('replatform.fence') IS NOT NULL AS is`,
      database,
    )
    if (!made?.is) return 'none'
    const [row] = await server.query<{ state: string }>('SELECT state FROM replatform.fence', database)
    return row?.state ?? 'none'
  }

  /** What PgBouncer does with the clients now. */
  async pooler(): Promise<{ readonly port: number; readonly isPaused: boolean }> {
    const client = new pg.Client({ connectionString: this.pgbouncer.adminUrl })
    await client.connect()
    const { rows } = await client.query<{ name: string; port: string; paused: number | string }>('SHOW DATABASES')
    await client.end()
    const row = rows.find(({ name }) => name === database)
    return { port: Number(row?.port), isPaused: Number(row?.paused) === 1 }
  }

  /**
   * Payments go on at one place, and nobody can write at the other: asked of the servers, not of the product.
   */
  async expectOpen(place: Place): Promise<void> {
    const { port } = this.server(place)
    await this.paysOn()
    expect(await this.pooler()).toEqual({ port, isPaused: false })
    const other = place === 'old' ? 'new' : 'old'
    expect([await this.fenceState(place), await this.fenceState(other)]).toEqual([
      expect.not.stringMatching('fenced'),
      'fenced',
    ])
    await expect(this.#payDirectly(other)).rejects.toThrow(/permission denied|fenced by Replatform/)
  }

  /** Ends the payments; then each acknowledged one stands exactly once on both sides, and none that nobody asked for. */
  async expectNothingLost(): Promise<void> {
    for (const payer of this.#payers) await payer[Symbol.asyncDispose]()
    const acknowledged = [...this.#others, ...this.#payers.flatMap((payer) => payer.acknowledged)]
    const asked = new Set([...acknowledged, ...this.#payers.flatMap((payer) => payer.unknown)])
    const found = await this.#references(place(await this.rig.status()))
    expect(new Set(found).size, 'none stands there twice').toBe(found.length)
    const there = new Set(found)
    expect(
      acknowledged.filter((reference) => !there.has(reference)),
      'acknowledged, but not there',
    ).toEqual([])
    expect(
      found.filter((reference) => !asked.has(reference)),
      'there, but never asked for',
    ).toEqual([])
    const { code, document } = await this.rig.json('compare', move)
    expect([code, document.result]).toMatchObject([0, { report: { equal: true } }])
  }

  /** What a person does after a move was cancelled. */
  async emptyNewSide(): Promise<void> {
    await this.#servers.emptyNewSide()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  async #references(at: Place): Promise<string[]> {
    const rows = await this.server(at).query<{ reference: string }>('SELECT reference FROM payments', database)
    return rows.map(({ reference }) => reference)
  }

  /** Past PgBouncer, as the application's own role. */
  async #payDirectly(at: Place): Promise<void> {
    const client = new pg.Client({ connectionString: this.#servers.directUrl(this.server(at)) })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(`INSERT INTO payments (reference, amount) VALUES ('behind the back', 1)`)
    } finally {
      await client.end().catch(() => {})
    }
  }
}

interface Parts {
  readonly servers: WalletServers
  readonly rig: CliRig
  readonly payers: readonly Payer[]
  readonly opened: AsyncDisposableStack
}

/** Where the payments are, by the state of the move. */
function place({ state }: { readonly state: string }): Place {
  return state === 'reversing' || state === 'finalized' ? 'new' : 'old'
}

function estateOf({ store }: WalletServers): object {
  const waves = [{ name: 'relational', phase: 'rehost', moves: [move], pauseBudget }]
  return { estate: 'wallet', stores: { [move]: store }, waves }
}
