import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { WaveStatus } from '@replatform/control/api-types'
import { type HaproxyServer, startHaproxy } from '@replatform/testkit/haproxy-server'
import { type PgbouncerServer, startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds, type RdsServer } from '@replatform/testkit/rds'
import pg from 'pg'
import { CliRig } from './cli-rig.ts'
import { LockHolder } from './lock-holder.ts'
import { Payer } from './payer.ts'

/** Names of their own: slots belong to the whole server, which other tests may share. */
export const moves = ['wave-ledger', 'wave-merchants'] as const
export type WaveMove = (typeof moves)[number]
export const wave = 'relational'
export type Place = 'old' | 'new'

const app = { user: 'wave_app', password: 'app-password' }
const pauseBudget = '20s'

const roles = `CREATE ROLE owner NOLOGIN; CREATE ROLE ${app.user} LOGIN PASSWORD '${app.password}'`
const schema = `
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE payments (id bigserial PRIMARY KEY, reference text NOT NULL UNIQUE, amount bigint NOT NULL);
INSERT INTO accounts SELECT i, 1000 FROM generate_series(1, 200) i;
ALTER TABLE accounts OWNER TO owner; ALTER TABLE payments OWNER TO owner;
GRANT ALL ON accounts, payments TO ${app.user}; GRANT USAGE ON SEQUENCE payments_id_seq TO ${app.user}`

/** Two databases that cut over together: PgBouncer in front of each, HAProxy as the gateway, payments all the time. */
export class WaveStage implements AsyncDisposable {
  readonly rig: CliRig
  /** For faults. */
  readonly pgbouncer: PgbouncerServer
  readonly gateway: HaproxyServer
  readonly #old: PostgresqlServer
  readonly #fresh: RdsServer
  readonly #payers: ReadonlyMap<WaveMove, Payer>
  readonly #opened: AsyncDisposableStack

  static async open(): Promise<WaveStage> {
    await using opened = new AsyncDisposableStack()
    const old = opened.use(await startPostgresql({ major: 13 }))
    const fresh = opened.use(await asRds(await startPostgresql({ major: 17 })))
    for (const server of [old, fresh.server]) await server.query(roles)
    await fresh.server.query(`GRANT owner TO ${fresh.masterUser}`)
    for (const move of moves) {
      await old.createDatabase(move)
      await old.query(schema, move)
      await fresh.createDatabase(move)
      await fresh.server.query('GRANT CREATE ON SCHEMA public TO owner', move)
    }
    const databases = Object.fromEntries(
      moves.map((move) => [move, { host: old.host, port: old.port, dbname: move as string }]),
    )
    const pgbouncer = opened.use(await startPgbouncer({ databases, users: { [app.user]: app.password } }))
    const gateway = opened.use(
      await startHaproxy({
        routes: { payments: { sides: { pooler: { host: pgbouncer.host, port: pgbouncer.port } } } },
      }),
    )
    const env: Record<string, string> = { PGBOUNCER_ADMIN: pgbouncer.adminUrl }
    for (const move of moves) {
      env[`${variable(move)}_OLD`] = old.url(move)
      env[`${variable(move)}_NEW`] = fresh.masterUrl(move)
    }
    const rig = opened.use(await CliRig.create({ estate: estateOf(pgbouncer, gateway), env }))
    const { host, port } = gateway.address('payments')
    const payers = moves.map((move) => {
      const url = `postgresql://${app.user}:${app.password}@${host}:${port}/${move}`
      return [move, opened.use(new Payer(move, url))] as const
    })
    return new WaveStage({ rig, old, fresh, pgbouncer, gateway, payers: new Map(payers), opened: opened.move() })
  }

  private constructor({ rig, old, fresh, pgbouncer, gateway, payers, opened }: Parts) {
    this.rig = rig
    this.pgbouncer = pgbouncer
    this.gateway = gateway
    this.#old = old
    this.#fresh = fresh
    this.#payers = payers
    this.#opened = opened
  }

  server(place: Place): PostgresqlServer {
    return place === 'old' ? this.#old : this.#fresh.server
  }

  hold(move: WaveMove, place: Place, sql: string): Promise<LockHolder> {
    return LockHolder.hold({ url: this.server(place).url(move), sql, move })
  }

  async wave(): Promise<WaveStatus> {
    const [status] = (await this.rig.client.status()).waves
    if (!status) throw new Error('The estate declares no wave.')
    return status
  }

  async reach(state: string): Promise<void> {
    await pollUntil(
      `both moves are ${state} and follow`,
      async () => {
        const { moves: statuses } = await this.rig.client.status()
        const isThere = statuses.every((move) => move.state === state && !move.paused && move.follow !== null)
        if (!isThere) throw new Error(JSON.stringify(statuses.map(({ name, state, paused }) => [name, state, paused])))
        return true
      },
      { withinMs: 120_000 },
    )
  }

  /** Payments to both stores go on there, and on the other side nobody can write: asked of the servers. */
  async expectOpen(place: Place): Promise<void> {
    await this.paysOn()
    const other = place === 'old' ? 'new' : 'old'
    for (const move of moves) {
      const url = this.server(other).url(move, app.user, app.password)
      await assert.rejects(pay(url), /permission denied|fenced by Replatform/, `${move} is open on the ${other} side`)
      await pay(this.server(place).url(move, app.user, app.password), true)
    }
  }

  /** Of the real switchover points: a hold would have ended connections, a pointing changed the file or a server. */
  async routingState(): Promise<object> {
    const admin = new pg.Client({ connectionString: this.pgbouncer.adminUrl })
    await admin.connect()
    try {
      const { rows: servers } = await admin.query('SHOW SERVERS')
      const state = await this.gateway.command('show servers state')
      const [head = '', ...stat] = (await this.gateway.command('show stat payments -1 -1')).split('\n')
      const sessions = head.split(',').indexOf('stot')
      return {
        file: await readFile(this.pgbouncer.configFile, 'utf8'),
        // Since when each is in its state.
        servers: state.replace(/^(\d+ payments \d+ \w+ \S+ \d+ \d+ \d+ \d+) \d+/gm, '$1'),
        sessions: stat.map((line) => line.split(',')[sessions]),
        pids: servers.map(({ remote_pid }) => remote_pid).sort(),
      }
    } finally {
      await admin.end()
    }
  }

  /** The longest that any payer waited since the last call. */
  takeLongestGapMs(): number {
    return Math.max(...[...this.#payers.values()].map((payer) => payer.takeLongestGapMs()))
  }

  /** Acknowledged so far, to both stores. */
  get paid(): number {
    return [...this.#payers.values()].reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
  }

  async paysOn(): Promise<void> {
    const before = new Map([...this.#payers].map(([move, { acknowledged }]) => [move, acknowledged.length]))
    const goOn = () => [...this.#payers].every(([move, p]) => p.acknowledged.length > (before.get(move) ?? 0) + 3)
    await pollUntil('payments go on', goOn, { withinMs: 120_000 })
  }

  /** Each acknowledged payment stands once at that place, and none that nobody asked for. */
  async expectNothingLost(place: Place): Promise<void> {
    for (const [move, payer] of this.#payers) {
      await payer[Symbol.asyncDispose]()
      const rows = await this.server(place).query<{ reference: string }>('SELECT reference FROM payments', move)
      const found = rows.map(({ reference }) => reference)
      const there = new Set(found)
      assert.equal(there.size, found.length, `${move}: none stands there twice`)
      const asked = new Set([...payer.acknowledged, ...payer.unknown])
      const lost = payer.acknowledged.filter((reference) => !there.has(reference))
      const invented = found.filter((reference) => !asked.has(reference))
      assert.deepEqual({ lost, invented }, { lost: [], invented: [] }, move)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

interface Parts {
  readonly rig: CliRig
  readonly old: PostgresqlServer
  readonly fresh: RdsServer
  readonly pgbouncer: PgbouncerServer
  readonly gateway: HaproxyServer
  readonly payers: ReadonlyMap<WaveMove, Payer>
  readonly opened: AsyncDisposableStack
}

/** Past the gateway; undone again where it is only tried. */
async function pay(url: string, isUndone = false): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(`BEGIN; INSERT INTO payments (reference, amount) VALUES ('behind the back', 1)`)
    await client.query(isUndone ? 'ROLLBACK' : 'COMMIT')
  } finally {
    await client.end().catch(() => {})
  }
}

function variable(move: WaveMove): string {
  return move.toUpperCase().replaceAll('-', '_')
}

function estateOf({ configFile: config }: PgbouncerServer, { socketFile }: HaproxyServer): object {
  const stores = moves.map((move) => [
    move,
    {
      source: { kind: 'postgresql', url: `env:${variable(move)}_OLD` },
      target: { kind: 'postgresql', service: 'rds', url: `env:${variable(move)}_NEW` },
      switch: { pgbouncer: { admin: 'env:PGBOUNCER_ADMIN', database: move, config } },
    },
  ])
  const haproxy = { socket: socketFile, backend: 'payments', old: ['pooler'], new: ['pooler'] }
  const gates = { verifiedWithin: '1h', rehearsedWithin: '1h', noOpenIncident: 'severe' }
  return {
    estate: 'wallet',
    stores: Object.fromEntries(stores),
    waves: [{ name: wave, phase: 'rehost', moves, pauseBudget, gates, gateways: [{ haproxy }] }],
  }
}
