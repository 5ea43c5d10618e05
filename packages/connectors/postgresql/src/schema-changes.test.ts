/**
 * Goal: what becomes of a table on the source while a move follows becomes of it on the target, at its place among the
 * rows; or the move stops, or says what it left out. Nothing passes unseen.
 * Method: statements of every kind between rows, under each policy; then the shape and the rows of both sides.
 */
import type { SchemaChanges } from '@replatform/core/estate'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FollowedMove } from './test-fixtures/followed-move.ts'
import { readContents } from './test-fixtures/pitfall-suite.ts'
import { readShape } from './test-fixtures/shape.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  source = await startPostgresql({ major: 13 })
  target = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await source?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

const schema = `
CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL DEFAULT 0, note text);
CREATE TABLE entries (id bigserial PRIMARY KEY, account int NOT NULL REFERENCES accounts, amount bigint NOT NULL);
CREATE INDEX by_owner ON accounts (owner);
CREATE TABLE parts (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
INSERT INTO accounts SELECT i, 'o' || i, i FROM generate_series(1, 50) i; INSERT INTO parts SELECT i, i FROM generate_series(1, 50) i;
`

async function followed(name: string, schemaChanges: SchemaChanges): Promise<FollowedMove> {
  await source.createDatabase(name)
  await target.createDatabase(name)
  await source.query(schema, name)
  const move = new FollowedMove({ name, source, target, open: { schemaChanges } })
  await move.load()
  move.follow()
  return move
}

async function expectSame(name: string): Promise<void> {
  const clients = [source, target].map((server) => new pg.Client({ connectionString: server.url(name) }))
  const [onSource, onTarget] = clients as [pg.Client, pg.Client]
  try {
    for (const client of clients) await client.connect()
    expect(await readShape(onTarget)).toEqual(await readShape(onSource))
    expect(await readContents(onTarget, 'public')).toEqual(await readContents(onSource, 'public'))
  } finally {
    for (const client of clients) await client.end()
  }
}

describe('carry', () => {
  let move: FollowedMove
  const name = 'carried'
  beforeAll(async () => {
    move = await followed(name, 'carry')
  })
  afterAll(() => move?.[Symbol.asyncDispose]())

  const cases: Record<string, readonly string[]> = {
    'a column is added, with rows before and after it in one transaction': [
      `BEGIN; UPDATE accounts SET balance = 7 WHERE id = 1; ALTER TABLE accounts ADD COLUMN currency text NOT NULL DEFAULT 'EUR'; UPDATE accounts SET currency = 'VND' WHERE id = 1; INSERT INTO accounts (id, owner, currency) VALUES (100, 'new', 'USD'); COMMIT`,
      'INSERT INTO accounts (id, owner) VALUES (101, $$later$$)',
    ],
    'a column is added whose default was worth something else then': [
      'ALTER TABLE accounts ADD COLUMN opened timestamptz DEFAULT now()',
      'INSERT INTO accounts (id, owner, opened) VALUES (102, $$x$$, NULL)',
    ],
    'columns are renamed and dropped': [
      'ALTER TABLE accounts RENAME COLUMN note TO remark',
      `UPDATE accounts SET remark = 'r' WHERE id < 5`,
      'BEGIN; ALTER TABLE accounts DROP COLUMN remark; UPDATE accounts SET balance = balance + 1; COMMIT',
    ],
    'a column under an index and a constraint is renamed': [
      'ALTER TABLE accounts RENAME COLUMN owner TO holder',
      `UPDATE accounts SET holder = 'h' WHERE id = 9`,
    ],
    'a new table, with rows in the transaction that makes it': [
      `BEGIN; CREATE TABLE fees (id serial PRIMARY KEY, account int REFERENCES accounts, amount numeric(12,2) DEFAULT 1.5 CHECK (amount > 0), at date UNIQUE); INSERT INTO fees (account, at) VALUES (1, '2026-01-01'), (2, '2026-01-02'); COMMIT`,
      `UPDATE fees SET amount = 3 WHERE id = 1`,
      'CREATE TABLE numbered (no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, twice int GENERATED ALWAYS AS (1 + 1) STORED, v text COLLATE "C")',
      `INSERT INTO numbered (v) VALUES ('a'), ('b')`,
    ],
    'indexes come and go': [
      'CREATE INDEX by_balance ON accounts (balance) WHERE balance > 0',
      'CREATE UNIQUE INDEX CONCURRENTLY holders ON accounts (holder, id)',
      'DROP INDEX by_owner',
    ],
    'constraints come, are validated, renamed and dropped': [
      'ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance > -1000) NOT VALID',
      'ALTER TABLE accounts VALIDATE CONSTRAINT positive',
      'ALTER TABLE accounts RENAME CONSTRAINT positive TO not_too_negative',
      'ALTER TABLE entries DROP CONSTRAINT entries_account_fkey',
    ],
    'a type grows without the rows being written again': [
      'ALTER TABLE accounts ADD COLUMN short varchar(5)',
      `UPDATE accounts SET short = 'abc'`,
      'ALTER TABLE accounts ALTER COLUMN short TYPE varchar(50)',
      `UPDATE accounts SET short = repeat('x', 40) WHERE id = 3`,
    ],
    'defaults and nullability change': [
      'ALTER TABLE accounts ALTER COLUMN balance SET DEFAULT 5, ALTER COLUMN short SET NOT NULL',
      `INSERT INTO accounts (id, holder, short) VALUES (103, 'y', 's')`,
      'ALTER TABLE accounts ALTER COLUMN short DROP NOT NULL',
    ],
    'a table is renamed, and moved to another schema and back': [
      'ALTER TABLE fees RENAME TO charges',
      'INSERT INTO charges (account) VALUES (3)',
      'ALTER TABLE charges SET SCHEMA pg_catalog'.replace('pg_catalog', 'public'),
    ],
    'partitions are added, detached and attached': [
      'CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200)',
      'INSERT INTO parts VALUES (1, 150), (2, 50)',
      'ALTER TABLE parts DETACH PARTITION parts_1',
      'INSERT INTO parts_1 VALUES (99, 99)',
      'ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (0) TO (100)',
      'ALTER TABLE parts ADD COLUMN v text',
      `UPDATE parts SET v = 'x'`,
    ],
    'the identity of rows changes': [
      'ALTER TABLE entries REPLICA IDENTITY FULL',
      'INSERT INTO entries (account, amount) VALUES (1, 1), (2, 2)',
      'ALTER TABLE entries DROP CONSTRAINT entries_pkey',
      'UPDATE entries SET amount = 3',
    ],
    'a table is dropped, with what refers to it': ['DROP TABLE charges CASCADE'],
    'a change that is rolled back, and one inside a rolled back savepoint, leave nothing': [
      'BEGIN; ALTER TABLE accounts ADD COLUMN never int; ROLLBACK',
      'BEGIN; SAVEPOINT s; CREATE TABLE never (a int); ROLLBACK TO s; UPDATE accounts SET balance = 1 WHERE id = 1; COMMIT',
    ],
    "temporary tables are nobody's": [
      'CREATE TEMP TABLE x AS SELECT 1 AS a',
      'BEGIN; CREATE TEMP TABLE y (a int) ON COMMIT DROP; ALTER TABLE y ADD b int; COMMIT',
    ],
  }

  test.each(Object.entries(cases))('%s', async (_, statements) => {
    const client = new pg.Client({ connectionString: source.url(name) })
    await client.connect()
    try {
      for (const statement of statements) await client.query(statement)
    } finally {
      await client.end()
    }
    await move.level()
    await expectSame(name)
  })

  test('both sides compare equal afterwards, and what was carried stands on the target', async () => {
    const report = await move.compare()
    expect(report.results.filter((result) => result.mismatched + result.missing + result.extra > 0)).toEqual([])
    const noted = await target.query('SELECT DISTINCT outcome FROM replatform.definition_change', name)
    expect(noted).toEqual([{ outcome: 'carried' }])
  })
})

test('carry stops where rows were computed by the source alone, and names the statement', async () => {
  await using move = await followed('rewritten', 'carry')
  await source.query('ALTER TABLE accounts ADD COLUMN token uuid DEFAULT gen_random_uuid()', 'rewritten')
  await expect(move.following).rejects.toMatchObject({
    code: 'postgresql.schema-changed',
    message: expect.stringContaining('ALTER TABLE on public.accounts'),
  })
})

test('carry stops at a table that was made together with its rows', async () => {
  await using move = await followed('filled', 'carry')
  await source.query('CREATE TABLE copy AS SELECT * FROM accounts', 'filled')
  await expect(move.following).rejects.toMatchObject({
    code: 'postgresql.schema-changed',
    message: expect.stringContaining('public.copy'),
  })
})

test('a table without a key is not published, so that its updates go on, and carry stops', async () => {
  await using move = await followed('keyless', 'carry')
  await source.query('CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (1)', 'keyless')
  await source.query('UPDATE keyless SET a = 2', 'keyless')
  await expect(move.following).rejects.toMatchObject({ message: expect.stringContaining('no primary key') })
})

test('stop pauses before the change and shows the statement; with carry the move goes on from there', async () => {
  await using move = await followed('stopped', 'stop')
  await source.query(
    `UPDATE accounts SET balance = 1; ALTER TABLE accounts ADD COLUMN iban text; UPDATE accounts SET iban = 'x'`,
    'stopped',
  )
  await expect(move.following).rejects.toMatchObject({
    code: 'postgresql.schema-changed',
    message: expect.stringContaining('ALTER TABLE "public"."accounts" ADD COLUMN "iban" text'),
  })
  move.follow()
  await expect(move.following, 'it stops again').rejects.toMatchObject({ code: 'postgresql.schema-changed' })
  await using carrying = new FollowedMove({ name: 'stopped', source, target, open: { schemaChanges: 'carry' } })
  carrying.follow()
  await carrying.level()
  await expectSame('stopped')
})

test('ignore goes on without, says so, and the comparison shows the difference', async () => {
  const warnings: object[] = []
  await source.createDatabase('ignored')
  await target.createDatabase('ignored')
  await source.query(schema, 'ignored')
  const log = { info() {}, warn: (fields: object) => void warnings.push(fields), error() {} }
  await using move = new FollowedMove({ name: 'ignored', source, target, open: { schemaChanges: 'ignore', log } })
  await move.load()
  move.follow()
  await source.query(
    `ALTER TABLE accounts ADD COLUMN iban text; UPDATE accounts SET iban = 'x', balance = 3; ALTER TABLE accounts DROP COLUMN note; INSERT INTO accounts (id, owner) VALUES (200, 'n');
     CREATE TABLE extra (a int PRIMARY KEY); INSERT INTO extra VALUES (1); CREATE VIEW v AS SELECT 1 AS a`,
    'ignored',
  )
  await move.level()
  expect(await target.query('SELECT count(*)::int AS n FROM accounts WHERE balance = 3', 'ignored')).toEqual([
    { n: 50 },
  ])
  expect(warnings).toEqual([
    expect.objectContaining({ tag: 'ALTER TABLE', object: 'public.accounts', outcome: 'ignored' }),
    expect.objectContaining({ tag: 'ALTER TABLE', outcome: 'ignored' }),
    expect.objectContaining({ tag: 'CREATE TABLE', object: 'public.extra', outcome: 'ignored' }),
    expect.objectContaining({ tag: 'CREATE VIEW', outcome: 'not-carried' }),
  ])
  const report = await move.compare()
  expect(report.equal).toBe(false)
  expect(report.results.find((result) => result.name === 'public.extra')).toMatchObject({ missing: 1 })
  const findings = await move.mover.assess()
  expect(findings.find(({ id }) => id === 'postgresql.schema-change-not-carried')?.evidence).toEqual([
    'ALTER TABLE public.accounts',
    'CREATE TABLE public.extra',
    'CREATE VIEW public.v',
  ])
})

test('indexes, tables and their constraints that come during the load are carried once', async () => {
  await source.createDatabase('early')
  await target.createDatabase('early')
  await source.query(schema, 'early')
  await using move = new FollowedMove({ name: 'early', source, target, open: { schemaChanges: 'carry' } })
  await move.load(async () => {
    await source.query(
      `CREATE INDEX early ON accounts (balance); CREATE TABLE late (id int PRIMARY KEY, account int REFERENCES accounts); INSERT INTO late VALUES (1, 1)`,
      'early',
    )
  })
  move.follow()
  await move.level()
  await expectSame('early')
})

test('a change that cannot be noted never fails the statement that makes it', async () => {
  await using move = await followed('broken', 'stop')
  await source.query('ALTER TABLE replatform.shape RENAME TO elsewhere', 'broken')
  await source.query('CREATE TABLE allowed (id int PRIMARY KEY)', 'broken')
  await expect(move.following).rejects.toMatchObject({ code: 'postgresql.schema-changed' })
})

test('nothing of it stays on the source after the clean-up', async () => {
  const move = await followed('cleaned', 'stop')
  await move.stop()
  await move.mover.cleanUp('everything')
  await move[Symbol.asyncDispose]()
  expect(await source.query('SELECT evtname FROM pg_event_trigger', 'cleaned')).toEqual([])
  expect(await source.query(`SELECT FROM pg_proc WHERE proname LIKE 'note_definition%'`, 'cleaned')).toEqual([])
  await source.query('CREATE TABLE later (id int PRIMARY KEY); DROP TABLE later', 'cleaned')
})

test('two moves of one database at once: each carries its own changes, and the end of one leaves the other', async () => {
  await source.createDatabase('shared')
  for (const name of ['shared_a', 'shared_b']) await target.createDatabase(name)
  await source.query('CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)', 'shared')
  const moveOf = (name: string, pattern: string) => {
    const side = (url: string) => ({ kind: 'postgresql' as const, url, tables: { include: [pattern] } })
    const sides = { source: side(source.url('shared')), target: side(target.url(name)) }
    return new FollowedMove({ name, source, target, open: { ...sides, schemaChanges: 'carry' } })
  }
  await using first = moveOf('shared_a', 'public.a*')
  await using second = moveOf('shared_b', 'public.b*')
  for (const move of [first, second]) {
    await move.load()
    move.follow()
  }
  const changes = (table: string) =>
    `ALTER TABLE ${table} ADD COLUMN n int DEFAULT 7; INSERT INTO ${table} VALUES (1, 2); CREATE TABLE ${table}_more (id int PRIMARY KEY); INSERT INTO ${table}_more VALUES (1)`
  await source.query(`${changes('a')}; ${changes('b')}`, 'shared')
  const tables = (name: string) =>
    target.query(
      `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1`,
      name,
    )
  for (const [name, move] of [
    ['a', first],
    ['b', second],
  ] as const) {
    await move.level()
    expect((await move.compare()).equal).toBe(true)
    expect(await tables(`shared_${name}`)).toEqual([{ name }, { name: `${name}_more` }])
  }
  await first.stop()
  await first.mover.cleanUp('everything')
  await source.query('ALTER TABLE b RENAME COLUMN n TO m; UPDATE b SET m = 3; ALTER TABLE a DROP COLUMN n', 'shared')
  await second.level()
  expect((await second.compare()).equal).toBe(true)
  expect(await target.query('SELECT * FROM b', 'shared_b')).toEqual([{ id: 1, m: 3 }])
})
