/**
 * Goal: what surrounds the tables (settings, sizes, triggers on definitions, sequences) neither stops nor bends a move.
 * Method: one move each, between servers whose settings are as hostile as those of real ones, by accounts that have no
 * other rights than those that `replatform grants` prints.
 */
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FollowedMove } from '../test-fixtures/followed-move.ts'
import { moverAccounts } from '../test-fixtures/mover-accounts.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  source = await startPostgresql({ major: 15, settings: { autovacuum: 'off' } })
  target = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await source?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

async function databases(name: string, schema: string, { onSource = '', onTarget = '' } = {}): Promise<FollowedMove> {
  await source.createDatabase(name)
  await target.createDatabase(name)
  await source.query(schema, name)
  const urls = await moverAccounts({ source, target }, name)
  // Settings that would bend the setting up itself come after it.
  if (onSource) await source.query(onSource, name)
  if (onTarget) await target.query(onTarget, name)
  const open = {
    source: { kind: 'postgresql', url: urls.source },
    target: { kind: 'postgresql', url: urls.target },
  } as const
  return new FollowedMove({ name, source, target, open })
}

async function expectSame(name: string, query: string): Promise<void> {
  expect(await target.query(query, name)).toEqual(await source.query(query, name))
}

test('event triggers of the target see the schema come and stay', async () => {
  await using move = await databases('watched', 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)', {
    onTarget: `CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'seen %', tg_tag; END $$;
      CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch(); CREATE EVENT TRIGGER rewrite ON table_rewrite EXECUTE FUNCTION watch()`,
  })
  await move.load()
  move.follow()
  await source.query('INSERT INTO t VALUES (2)', 'watched')
  await move.level()
  await expectSame('watched', 'SELECT id FROM t ORDER BY id')
  expect(
    await target.query(
      `SELECT evtname, evtenabled FROM pg_event_trigger WHERE evtname <> 'replatform_fence' ORDER BY 1`,
      'watched',
    ),
  ).toEqual([
    { evtname: 'rewrite', evtenabled: 'O' },
    { evtname: 'watch', evtenabled: 'O' },
  ])
})

test('timeouts, isolation and search path that are set for the database bend nothing', async () => {
  const settings = (name: string, more: readonly string[]) =>
    [
      `statement_timeout = '50ms'`,
      `lock_timeout = '10ms'`,
      `idle_in_transaction_session_timeout = '50ms'`,
      `idle_session_timeout = '50ms'`,
      `default_transaction_isolation = 'serializable'`,
      `search_path = 'nowhere'`,
      `datestyle = 'German, DMY'`,
      `intervalstyle = 'sql_standard'`,
      `timezone = 'Asia/Kathmandu'`,
      `bytea_output = 'escape'`,
      `extra_float_digits = -15`,
      `synchronous_commit = 'off'`,
      ...more,
    ]
      .map((setting) => `ALTER DATABASE ${name} SET ${setting}`)
      .join('; ')
  await using move = await databases(
    'hostile',
    `CREATE TABLE t (id int PRIMARY KEY, at timestamptz, d date, i interval, f float8, b bytea);
     INSERT INTO t SELECT i, now(), date '2026-02-03', '1 mon -2 days 03:00', 0.1 + i, '\\x00ff' FROM generate_series(1, 20000) i`,
    { onSource: settings('hostile', []), onTarget: settings('hostile', [`transaction_timeout = '100ms'`]) },
  )
  await move.load()
  move.follow()
  await source.query(`SET statement_timeout = 0; UPDATE public.t SET f = f / 3, i = -i, d = d + 1`, 'hostile')
  await move.level()
  const report = await move.compare()
  expect(report.results).toMatchObject([{ matching: 20_000, mismatched: 0, missing: 0, extra: 0 }])
})

test('keepalives are answered on a timer of their own, however long a batch takes', async () => {
  await using move = await databases(
    'patient',
    `CREATE TABLE t (id int PRIMARY KEY); ALTER DATABASE patient SET wal_sender_timeout = '2s'`,
  )
  await move.load()
  const held = Promise.withResolvers<void>()
  move.follow(() => held.promise)
  // Far more than the sockets between them hold, so that the sender itself has to wait.
  await source.query(`INSERT INTO t SELECT generate_series(1, 300000)`, 'patient')
  const sender = `SELECT pid FROM pg_stat_replication WHERE application_name LIKE 'replatform patient follow%'`
  const [before] = await source.query(sender)
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  expect(await source.query(sender), 'the server did not cut the stream').toEqual([before])
  held.resolve()
  await move.level()
  await expectSame('patient', 'SELECT count(*) AS n FROM t')
})

test('sequences stand on the target where they stand on the source once they are settled', async () => {
  await using move = await databases(
    'counted',
    `CREATE TABLE t (id bigserial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY (START -100 INCREMENT BY -5)); CREATE SEQUENCE "Free one" MINVALUE -10 START -10 CYCLE; CREATE SEQUENCE untouched START 77;
     INSERT INTO t DEFAULT VALUES`,
  )
  await move.load()
  await source.query(`INSERT INTO t DEFAULT VALUES; SELECT nextval('"Free one"'), nextval('"Free one"')`, 'counted')
  await move.mover.settle()
  const state = `SELECT 't' AS s, last_value, is_called FROM t_id_seq UNION ALL SELECT 'n', last_value, is_called FROM t_n_seq
    UNION ALL SELECT 'f', last_value, is_called FROM "Free one" UNION ALL SELECT 'u', last_value, is_called FROM untouched`
  await expectSame('counted', state)
  const kinds = 'SELECT sequencename, start_value, min_value, increment_by, cycle FROM pg_sequences ORDER BY 1'
  await expectSame('counted', kinds)
})

test('unlogged tables are not passed over in silence: the comparison counts their rows as missing', async () => {
  await using move = await databases(
    'unlogged',
    'CREATE UNLOGGED TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)',
  )
  await move.load()
  move.follow()
  await move.level()
  expect((await move.compare()).results).toMatchObject([{ name: 'public.u', missing: 1 }])
})

test('a stream that is cut between any two transactions goes on without losing or doubling one', async () => {
  await using move = await databases(
    'cut',
    'CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE log (n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 5) i',
  )
  await move.load()
  let isOver = false
  let written = 0
  const writing = (async () => {
    while (!isOver) {
      const statements = Array.from(
        { length: 20 },
        (_, i) =>
          `BEGIN; UPDATE t SET n = n + 1 WHERE id = ${1 + (i % 5)}; INSERT INTO log VALUES (${written + i}); COMMIT`,
      )
      await source.query(statements.join('; '), 'cut')
      written += 20
    }
  })()
  for (let round = 0; round < 8; round++) {
    move.follow()
    await new Promise((resolve) => setTimeout(resolve, 100 + round * 30))
    // Now and then the server ends it in the middle, instead of us at a durable point.
    if (round % 2 === 0)
      await source.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name LIKE 'replatform cut %'`,
      )
    await move.stop().catch(() => {})
  }
  isOver = true
  await writing
  move.follow()
  await move.level()
  await expectSame(
    'cut',
    'SELECT (SELECT sum(n) FROM t) AS sum, (SELECT count(*) FROM log) AS rows, (SELECT count(DISTINCT n) FROM log) AS different',
  )
  expect(written).toBeGreaterThan(100)
})
