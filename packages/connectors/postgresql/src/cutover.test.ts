/**
 * Goal: a database under live writes is cut over, rolled back and cut over again, with every acknowledged write on the
 * side that is open, once, and sequences going on where they stood.
 * Method: a real mover process and the engine's own coordinator; writers that follow whichever side takes writes and
 * remember what was acknowledged to them. Movers have no other rights than those that `replatform grants` prints: on a
 * source before 15 that is a superuser's, on the target it is not.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Direction } from '@replatform/core/move'
import { flipSides } from '@replatform/testkit/flip-sides'
import type { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { moverAccounts } from './test-fixtures/mover-accounts.ts'
import { startMover } from './test-fixtures/start-mover.ts'

let old: PostgresqlServer
let fresh: PostgresqlServer
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replatform-test-'))
  old = await startPostgresql({ major: 13 })
  fresh = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await old[Symbol.asyncDispose]()
  await fresh[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const schema = `
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE payments (id bigserial PRIMARY KEY, reference text NOT NULL UNIQUE, amount bigint NOT NULL);
INSERT INTO accounts SELECT i, 1000 FROM generate_series(1, 1000) i;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app;
`

/** Pays on the first side that lets it, and remembers what was acknowledged. */
class Payer implements AsyncDisposable {
  readonly acknowledged: string[] = []
  readonly unknown: string[] = []
  readonly #urls: readonly string[]
  readonly #name: string
  #isOver = false
  readonly #ended: Promise<void>

  constructor(name: string, urls: readonly string[]) {
    this.#name = name
    this.#urls = urls
    this.#ended = this.#pay()
  }

  async #pay(): Promise<void> {
    for (let attempt = 0, n = 0; !this.#isOver; attempt++) {
      const client = new pg.Client({ connectionString: this.#urls[attempt % this.#urls.length] as string })
      client.on('error', () => {})
      try {
        await client.connect()
        for (; !this.#isOver; n++) await this.#payOnce(client, `${this.#name}-${n}`)
      } catch {
        n++
      }
      await client.end().catch(() => {})
    }
  }

  async #payOnce(client: pg.Client, reference: string): Promise<void> {
    await client.query('BEGIN')
    await client.query(`UPDATE accounts SET balance = balance + 1 WHERE id = ${1 + ((reference.length * 7919) % 1000)}`)
    await client.query(`INSERT INTO payments (reference, amount) VALUES ('${reference}', 1)`)
    this.unknown.push(reference)
    await client.query('COMMIT')
    this.unknown.pop()
    this.acknowledged.push(reference)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#ended
  }
}

function run(mover: TestMover, direction: Direction, state: 'planned' | 'in-sync' | 'reversing' | 'rolled-back'): void {
  mover.events.length = 0
  mover.client.call('run', { direction, state }).catch(() => {})
}

const level = (mover: TestMover) => mover.waitFor((e) => e.event === 'follow' && e.progress.lagMs < 1_000)

interface Stage extends AsyncDisposable {
  readonly mover: TestMover
  readonly payers: readonly Payer[]
}

async function inSync(name: string): Promise<Stage> {
  for (const server of [old, fresh]) {
    await server.query(
      `DO $$ BEGIN CREATE ROLE app LOGIN PASSWORD 'app'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    )
    await server.createDatabase(name)
  }
  await old.query(schema, name)
  const mover = await startMover(name, await moverAccounts({ source: old, target: fresh }, name))
  const urls = [old.url(name, 'app', 'app'), fresh.url(name, 'app', 'app')]
  const payers = [1, 2, 3].map((n) => new Payer(`${name}-${n}`, urls))
  run(mover, 'forward', 'planned')
  await level(mover)
  return {
    mover,
    payers,
    [Symbol.asyncDispose]: async () => {
      for (const payer of payers) await payer[Symbol.asyncDispose]()
      await mover[Symbol.asyncDispose]()
    },
  }
}

async function paysOn(payers: readonly Payer[]): Promise<void> {
  const before = payers.map((payer) => payer.acknowledged.length)
  await pollUntil('payments go on', async () => payers.every((p, i) => p.acknowledged.length > (before[i] ?? 0) + 5))
}

async function references(server: PostgresqlServer, name: string): Promise<string[]> {
  const rows = await server.query<{ reference: string }>('SELECT reference FROM payments ORDER BY id', name)
  return rows.map((row) => row.reference)
}

async function expectAllThere(server: PostgresqlServer, name: string, payers: readonly Payer[]): Promise<void> {
  const found = new Set(await references(server, name))
  const acknowledged = payers.flatMap((payer) => payer.acknowledged)
  expect(
    acknowledged.filter((reference) => !found.has(reference)),
    'acknowledged, but not there',
  ).toEqual([])
  const known = new Set([...acknowledged, ...payers.flatMap((payer) => payer.unknown)])
  expect(
    [...found].filter((reference) => !known.has(reference)),
    'there, but never asked for',
  ).toEqual([])
}

test('over, back and over again under live payments', async () => {
  const name = 'over-and-back'
  await using stage = await inSync(name)
  const { mover, payers } = stage
  for (const direction of ['forward', 'reverse', 'forward'] as const) {
    const outcome = await flipSides({ mover, direction })
    expect(outcome.error, String(outcome.error?.message)).toBeNull()
    expect(outcome.decision.outcome).toBe('committed')
    run(mover, direction === 'forward' ? 'reverse' : 'forward', direction === 'forward' ? 'reversing' : 'rolled-back')
    await paysOn(payers)
    await level(mover)
  }
  for (const payer of payers) await payer[Symbol.asyncDispose]()
  await expectAllThere(fresh, name, payers)
  await pollUntil(
    'the old side is level',
    async () => (await references(old, name)).length === (await references(fresh, name)).length,
  )
  expect(await references(old, name)).toEqual(await references(fresh, name))
  const [ids] = await fresh.query<{ ok: boolean }>(
    'SELECT last_value >= (SELECT max(id) FROM payments) AS ok FROM payments_id_seq',
    name,
  )
  expect(ids?.ok, 'the sequence goes on beyond every id').toBe(true)

  await mover.client.call('stop', {})
  for (const direction of ['reverse', 'forward'] as const)
    await mover.client.call('cleanUp', { direction, scope: 'everything' })
  // The fence, with the turn that it stands for.
  expect(await leftovers(old, name)).toEqual({ slots: 0, publications: 0, tables: 2 })
  expect(await leftovers(fresh, name)).toEqual({ slots: 0, publications: 0, tables: 0 })
})

test('an abort after the fence lets payments go on where they were, and replication with them', async () => {
  const name = 'aborted'
  await using stage = await inSync(name)
  const { mover, payers } = stage
  const outcome = await flipSides({
    mover,
    direction: 'forward',
    overrides: { settle: () => Promise.reject(new Error('cut')) },
  })
  expect(outcome.decision.outcome).toBe('aborted')
  run(mover, 'forward', 'in-sync')
  await paysOn(payers)
  const again = await flipSides({ mover, direction: 'forward' })
  expect(again.error, String(again.error?.message)).toBeNull()
  run(mover, 'reverse', 'reversing')
  await paysOn(payers)
  for (const payer of payers) await payer[Symbol.asyncDispose]()
  await expectAllThere(fresh, name, payers)
})

const withoutCapture = `DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT evtname FROM pg_event_trigger WHERE evtname LIKE 'replatform%' LOOP EXECUTE format('DROP EVENT TRIGGER %I', name); END LOOP; END $$`

const surprises = [
  {
    name: 'created',
    sql: 'CREATE TABLE latecomer (id int PRIMARY KEY); INSERT INTO latecomer VALUES (1)',
    error: { code: 'postgresql.schema-changed', message: expect.stringContaining('public.latecomer') },
  },
  {
    name: 'remade',
    sql: `CREATE TABLE other (LIKE accounts INCLUDING ALL); INSERT INTO other SELECT id, balance + 1 FROM accounts;
      DROP TABLE accounts; ALTER TABLE other RENAME TO accounts; GRANT ALL ON accounts TO app`,
    error: { code: 'postgresql.schema-changed', message: expect.stringContaining('public.accounts') },
  },
  {
    name: 'rewritten',
    sql: 'ALTER TABLE accounts ALTER balance TYPE bigint USING balance * 100',
    error: { code: 'cutover.differences', message: expect.stringContaining('public.accounts') },
  },
]

test.each(surprises)(
  'a table that is $name during the move stops the cutover before the pause',
  async ({ name, sql, error }) => {
    await using stage = await inSync(name)
    await stage.mover.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' })
    // As where the mover's role may not create event triggers, which would have told it at once.
    await old.query(withoutCapture, name)
    await old.query(`BEGIN; ${sql}; COMMIT`, name)
    const outcome = await flipSides({ mover: stage.mover, direction: 'forward' })
    expect(outcome.decision.outcome).toBe('aborted')
    expect(outcome.error).toMatchObject(error)
    expect(outcome.pauseMs).toBeNull()
    await paysOn(stage.payers)
  },
)

test('a target that went back behind what the source was told is never followed to', async () => {
  const name = 'went-back'
  await using stage = await inSync(name)
  await paysOn(stage.payers)
  await stage.mover.client.call('stop', {})
  await fresh.query(`UPDATE replatform.flow SET position = '0/1'`, name)
  await expect(stage.mover.client.call('run', { direction: 'forward', state: 'in-sync' })).rejects.toMatchObject({
    code: 'postgresql.target-went-back',
  })
})

/** What is left of the move; the fence's own table may stay on the fenced side. */
async function leftovers(server: PostgresqlServer, name: string): Promise<Record<string, number>> {
  const [row] = await server.query<Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM pg_replication_slots WHERE database = current_database()) AS slots,
       (SELECT count(*)::int FROM pg_publication) AS publications,
       (SELECT count(*)::int FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'replatform' AND relkind = 'r') AS tables`,
    name,
  )
  return row ?? {}
}
