/**
 * Goal: a mover that is killed at any named point, under a live writer, resumes and ends with the target equal to the
 * source, without beginning the load again.
 * Method: a real mover process is killed with SIGKILL when it reports the point, a new one goes on from what stands on
 * the target, and at the end both sides are compared row by row at one position. Movers have no other rights than those
 * that `replatform grants` prints.
 */
import type { CompareReport } from '@replatform/core/difference'
import type { MoveState } from '@replatform/core/move'
import type { MoverEvent } from '@replatform/engine/mover-protocol'
import type { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { moverAccounts } from './test-fixtures/mover-accounts.ts'
import { startMover } from './test-fixtures/start-mover.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  // From 15 on no account takes a superuser, either way.
  source = await startPostgresql({ major: 15 })
  target = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await source[Symbol.asyncDispose]()
  await target[Symbol.asyncDispose]()
})

const schema = `
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, filler text NOT NULL);
CREATE TABLE transfers (id bigserial PRIMARY KEY, reference uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  payer int NOT NULL REFERENCES accounts, payee int NOT NULL REFERENCES accounts, amount bigint NOT NULL);
CREATE INDEX ON transfers (payer); CREATE INDEX ON transfers (payee);
INSERT INTO accounts SELECT i, 1000, repeat('x', 400) FROM generate_series(1, 60000) i;
INSERT INTO transfers (payer, payee, amount) SELECT 1 + i % 60000, 1 + (i * 7) % 60000, i FROM generate_series(1, 60000) i;
`

/** Writes until disposed of; each loop is one transaction of three rows, now and then rolled back. */
class LiveWriter implements AsyncDisposable {
  committed = 0
  readonly #client: pg.Client
  #isOver = false
  readonly #ended: Promise<void>

  static async start(url: string): Promise<LiveWriter> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    return new LiveWriter(client)
  }

  private constructor(client: pg.Client) {
    this.#client = client
    this.#ended = this.#write()
  }

  async #write(): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const [payer, payee] = [1 + ((i * 7919) % 60_000), 1 + ((i * 104_729) % 60_000)]
      await this.#client.query(`BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = ${payer};
        UPDATE accounts SET balance = balance + 1 WHERE id = ${payee};
        INSERT INTO transfers (payer, payee, amount) VALUES (${payer}, ${payee}, 1); ${i % 10 === 3 ? 'ROLLBACK' : 'COMMIT'}`)
      this.committed++
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#ended
    await this.#client.end()
  }
}

interface Point {
  readonly name: string
  readonly reached: (mover: TestMover) => Promise<unknown>
}

const loadedChunks = (mover: TestMover, chunks: number) =>
  mover.waitFor((e) => e.event === 'load' && e.groups.reduce((sum, g) => sum + g.loaded.chunks, 0) >= chunks)

const points: Point[] = [
  { name: 'prepared', reached: (mover) => mover.waitFor((e) => e.event === 'state' && e.state === 'prepared') },
  { name: 'between two chunks', reached: (mover) => loadedChunks(mover, 3) },
  { name: 'while indexes are built', reached: (mover) => mover.waitFor((e) => e.event === 'step') },
  { name: 'while catching up', reached: (mover) => mover.waitFor((e) => e.event === 'follow' && e.progress.rows > 0) },
  {
    name: 'while comparing',
    reached: async (mover) => {
      await mover.waitFor((e) => e.event === 'state' && e.state === 'in-sync')
      mover.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' }).catch(() => {})
      await mover.waitFor((e) => e.event === 'compare')
    },
  },
]

test.each(points)('killed $name', async ({ name, reached }) => {
  const move = name.replaceAll(' ', '-')
  await source.createDatabase(move)
  await target.createDatabase(move)
  await source.query(schema, move)
  const urls = await moverAccounts({ source, target }, move)
  await using writer = await LiveWriter.start(source.url(move))

  const first = await startMover(move, urls)
  first.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await reached(first)
  await first.kill()
  const loadedBefore = await chunkCounts(move)

  await using second = await startMover(move, urls)
  const run = second.client.call('run', { direction: 'forward', state: lastState(first) })
  run.catch(() => {})
  const isLevel = (e: MoverEvent) => e.event === 'follow' && e.progress.lagMs < 1_000
  await Promise.race([second.waitFor(isLevel), run])
  const before = writer.committed
  await pollUntil('payments go on', async () => writer.committed > before + 20)
  const report: CompareReport = await second.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' })
  await second.client.call('stop', {})

  expect(
    report.results.map(({ name: table, missing, extra, mismatched }) => ({ table, missing, extra, mismatched })),
  ).toEqual(['public.accounts', 'public.transfers'].map((table) => ({ table, missing: 0, extra: 0, mismatched: 0 })))
  expect(await tableStarts(move), 'no table was loaded twice').toBe(0)
  expect((await chunkCounts(move)).done).toBeGreaterThanOrEqual(loadedBefore.done)
})

function lastState(mover: TestMover): MoveState {
  const states = mover.events.flatMap((e) => (e.event === 'state' ? [e.state] : []))
  return states.at(-1) ?? 'planned'
}

async function chunkCounts(name: string): Promise<{ done: number }> {
  const [row] = await target.query<{ done: number }>(
    'SELECT count(*) FILTER (WHERE done)::int AS done FROM replatform.chunk',
    name,
  )
  return row ?? { done: 0 }
}

async function tableStarts(name: string): Promise<number> {
  const [row] = await target.query<{ n: number }>('SELECT count(*)::int AS n FROM replatform.table_start', name)
  return row?.n ?? -1
}
