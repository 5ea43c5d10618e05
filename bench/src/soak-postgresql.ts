/**
 * Goal: whatever dies while a PostgreSQL store is loaded, followed and compared under live payments, every payment that
 * was acknowledged stands on the target once, and both sides compare equal, row by row.
 * Method: moves of the same database, one after the other; in each, mover, worker, either server and the connections
 * between are killed at random instants, which are counted by the state that the move was in. Then the judge.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CliProcess } from '@replatform/cli/test-fixtures/cli-process'
import { CliRig } from '@replatform/cli/test-fixtures/cli-rig'
import { Payer } from '@replatform/cli/test-fixtures/payer'
import type { MoveStatus } from '@replatform/control/api-types'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { seededRandom } from '@replatform/testkit/seeded-random'
import { startTcpProxy, type TcpProxy } from '@replatform/testkit/tcp-proxy'
import { killQuietly } from './kill-quietly.ts'
import type { SoakOptions } from './soak.ts'

const killsPerMove = 10
/** So that a load of these rows lasts long enough to be hit. */
const bytesPerSecond = 12 * 1024 * 1024
const patience = { withinMs: 300_000, everyMs: 100 }

const schema = `
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE payments (id bigserial PRIMARY KEY, reference text NOT NULL UNIQUE, amount bigint NOT NULL);
CREATE TABLE archive (id int PRIMARY KEY, filler text NOT NULL); CREATE INDEX ON archive (filler);
INSERT INTO accounts SELECT i, 1000 FROM generate_series(1, 1000) i;
INSERT INTO archive SELECT i, repeat(md5(i::text), 12) FROM generate_series(1, 120000) i`

export async function soakPostgresql({ kills, seed, log }: SoakOptions): Promise<object> {
  await using opened = new AsyncDisposableStack()
  const old = opened.use(await startPostgresql({ major: 13 }))
  const fresh = opened.use(await startPostgresql({ major: 17 }))
  const proxies = {
    old: opened.use(await startTcpProxy({ host: old.host, port: old.port })),
    fresh: opened.use(await startTcpProxy({ host: fresh.host, port: fresh.port })),
  }
  const names = Array.from({ length: Math.ceil(kills / killsPerMove) }, (_, i) => `ledger-${i + 1}`)
  const estate = { estate: 'soak', stores: Object.fromEntries(names.map((name) => [name, storeOf(name)])) }
  const env = Object.fromEntries(
    names.flatMap((name) => [
      [`${variable(name)}_OLD`, proxies.old.url(old.url(name))],
      [`${variable(name)}_NEW`, proxies.fresh.url(fresh.url(name))],
    ]),
  )
  const rig = opened.use(await CliRig.create({ estate, env }))
  const soak = new PostgresqlSoak({ old, fresh, proxies, rig, random: seededRandom(seed), log })
  for (const [i, name] of names.entries()) await soak.move(name, Math.min(killsPerMove, kills - i * killsPerMove))
  return soak.figures()
}

interface Parts {
  readonly old: PostgresqlServer
  readonly fresh: PostgresqlServer
  readonly proxies: { readonly old: TcpProxy; readonly fresh: TcpProxy }
  readonly rig: CliRig
  readonly random: () => number
  readonly log: (line: string) => void
}

class PostgresqlSoak {
  readonly #parts: Parts
  readonly #counts = new Map<string, number>()
  #payments = 0
  #resumed = 0
  #worker: CliProcess | null = null
  #starting: Promise<unknown> | null = null
  #comparing: Promise<unknown> | null = null

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** One move from its start to a target that compares equal, with so many kills on its way. */
  async move(name: string, kills: number): Promise<void> {
    const { old, fresh, rig, random, log, proxies } = this.#parts
    for (const server of [old, fresh]) await server.createDatabase(name)
    await old.query(schema, name)
    await using payer = new Payer(name, old.url(name))
    for (const proxy of Object.values(proxies)) proxy.limitBandwidth(bytesPerSecond)
    await this.#keepWorker()
    this.#start(name)
    for (let kill = 1; kill <= kills; kill++) {
      // A third falls into the load, a third into following, a third into a comparison; some wherever the move then is.
      const part = random() < 0.9 ? Math.ceil((3 * kill) / kills) : 0
      if (part === 1) await this.#isUnderWay(name, (state) => state !== 'planned')
      if (part > 1) await this.#isUnderWay(name, (state) => state === 'catching-up' || state === 'in-sync')
      if (part === 3) {
        this.#comparing ??= rig.run('compare', name).finally(() => {
          this.#comparing = null
        })
      }
      await sleep(100 + random() * (part === 3 ? 1_000 : 2_500))
      const victims = Object.keys(this.#victims)
      const victim = victims[Math.floor(random() * victims.length)] as string
      const phase = await this.#phaseOf(name)
      await this.#victims[victim]?.(name)
      this.#count(`killed: ${victim}`)
      this.#count(`while ${phase}`)
      log(`${name} ${kill}/${kills} ${victim}, while ${phase}`)
      await this.#keepWorker()
    }
    await this.#judge(name, payer)
  }

  figures(): object {
    const counts = Object.fromEntries([...this.#counts].sort())
    return { ...counts, resumedByHand: this.#resumed, payments: this.#payments, lostOrDoubled: 0 }
  }

  readonly #victims: Readonly<Record<string, (name: string) => Promise<void>>> = {
    'mover': async (name) => {
      const pid = (await this.#statusOf(name))?.mover?.pid
      if (pid) killQuietly(pid)
    },
    'worker': async () => this.#worker?.kill(),
    'source server': () => this.#restart(this.#parts.old),
    'target server': () => this.#restart(this.#parts.fresh),
    'connection to the source': async () => this.#parts.proxies.old.cut(),
    'connection to the target': async () => this.#parts.proxies.fresh.cut(),
  }

  async #restart(server: PostgresqlServer): Promise<void> {
    await server.kill()
    await sleep(this.#parts.random() * 1_000)
    await server.restart()
  }

  async #keepWorker(): Promise<void> {
    if (!this.#worker?.running) this.#worker = await this.#parts.rig.worker()
  }

  async #statusOf(name: string): Promise<MoveStatus | undefined> {
    const status = await this.#parts.rig.client.status().catch(() => undefined)
    return status?.moves.find((move) => move.name === name)
  }

  async #phaseOf(name: string): Promise<string> {
    const status = await this.#statusOf(name)
    if (!status) return 'the worker is away'
    if (status.paused) return 'paused'
    if (this.#comparing) return `${status.state}, comparing`
    return status.state === 'loading' && status.step
      ? `loading: ${status.step.replaceAll(/[^a-z ].*/g, '')}`
      : status.state
  }

  /** Payments end; all that was acknowledged is on both sides once, and every row of both sides is the same. */
  async #judge(name: string, payer: Payer): Promise<void> {
    const { rig, fresh, old, proxies, log } = this.#parts
    for (const proxy of Object.values(proxies)) await proxy.restore()
    await this.#follows(name)
    const before = payer.acknowledged.length
    await pollUntil('payments go on', () => payer.acknowledged.length > before + 20, patience)
    await payer[Symbol.asyncDispose]()
    await this.#follows(name)
    const report = await pollUntil(
      'both sides are compared',
      async () => {
        await this.#follows(name)
        const { code, document } = await rig.json<{ result?: { report?: { equal: boolean } } }>('compare', name)
        if (code !== 0 && document.result?.report?.equal !== false) throw new Error(JSON.stringify(document.error))
        return document.result?.report
      },
      patience,
    )
    assert.equal(report.equal, true, `${name}: both sides are equal`)
    for (const server of [old, fresh]) {
      const rows = await server.query<{ reference: string }>('SELECT reference FROM payments', name)
      const there = new Set(rows.map(({ reference }) => reference))
      assert.equal(there.size, rows.length, `${name}: none stands there twice`)
      const asked = new Set([...payer.acknowledged, ...payer.unknown])
      const lost = payer.acknowledged.filter((reference) => !there.has(reference))
      assert.deepEqual(
        { lost, invented: [...there].filter((each) => !asked.has(each)) },
        { lost: [], invented: [] },
        name,
      )
    }
    this.#payments += payer.acknowledged.length
    await Promise.all([this.#starting, this.#comparing])
    log(`${name}: equal, ${payer.acknowledged.length} payments judged`)
    await rig.run('cancel', name)
  }

  /** A fault that lasted pauses the move; an operator resumes it. */
  async #follows(name: string): Promise<void> {
    const isThere = async () => {
      await this.#keepWorker()
      const status = await this.#statusOf(name)
      if (!status) throw new Error('The worker does not answer.')
      if (status.paused) {
        this.#resumed += 1
        this.#count(`paused with ${status.paused.error?.code ?? status.paused.reason}`)
        await this.#parts.rig.run('resume', name)
        throw new Error(JSON.stringify(status.paused))
      }
      if (status.state === 'planned' && !status.mover) this.#start(name)
      return status.state === 'in-sync' && (status.follow?.lagMs ?? Number.POSITIVE_INFINITY) < 1_000
    }
    await pollUntil(`${name} follows`, isThere, patience)
  }

  /** A start that was interrupted is asked for again, as an operator would. */
  async #isUnderWay(name: string, fits: (state: MoveStatus['state']) => boolean): Promise<void> {
    const isThere = async () => {
      await this.#keepWorker()
      const status = await this.#statusOf(name)
      if (!status) return false
      if (status.paused) {
        this.#count(`paused with ${status.paused.error?.code ?? status.paused.reason}`)
        await this.#parts.rig.run('resume', name)
      }
      if (status.state === 'planned' && !status.mover) this.#start(name)
      return fits(status.state) && !status.paused
    }
    await pollUntil(`${name} is under way`, isThere, patience)
  }

  /** It stays until the move is in sync, or its worker is gone. */
  #start(name: string): void {
    this.#starting ??= this.#parts.rig.run('start', name, '--until', 'in-sync').finally(() => {
      this.#starting = null
    })
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }
}

function storeOf(name: string): object {
  const side = (which: string) => ({ kind: 'postgresql', url: `env:${variable(name)}_${which}` })
  return { source: side('OLD'), target: side('NEW'), workers: 2 }
}

function variable(name: string): string {
  return name.toUpperCase().replaceAll('-', '_')
}
