/**
 * Goal: what was loaded and followed equals the source, whatever happened in between.
 * Method: real servers (13 → 17), a table of every common type, changes of every kind, and both sides read as text.
 */
import type { FollowProgress, OpenOptions } from '@replatform/core/connector'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { finishLoad } from './finish-load.ts'
import { FullLoad } from './full-load.ts'
import { type Lsn, parseLsn } from './lsn.ts'
import { openFollower } from './open-follower.ts'
import { prepareLoad } from './prepare.ts'
import { withSession } from './session.ts'
import { releaseSnapshot } from './snapshot-keeper.ts'
import { moverAccounts } from './test-fixtures/mover-accounts.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  source = await startPostgresql({ major: 13 })
  target = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await source[Symbol.asyncDispose]()
  await target[Symbol.asyncDispose]()
})

const schema = `
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN dong AS bigint CHECK (VALUE >= 0);
CREATE TABLE "All Types" (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(12,2), f4 real, f8 float8, b bool, c char(5), v varchar(10), t text,
  by bytea, d date, tm time, tz timetz, ts timestamp, tstz timestamptz(3), iv interval, u uuid, j json, jb jsonb, x xml,
  ip inet, cd cidr, mac macaddr, bt bit(3), vb varbit, ar int[], ta text[][], m mood, ma mood[], p pair, r int4range,
  tr tstzrange, do_ dong, mo money, pt point, tsv tsvector, nm name, ch "char", oi oid, gen int GENERATED ALWAYS AS (i4 * 2) STORED);
CREATE TABLE accounts (id int PRIMARY KEY, code text NOT NULL UNIQUE DEFERRABLE, balance bigint NOT NULL, note text);
CREATE TABLE entries (a int, b text, amount bigint NOT NULL, PRIMARY KEY (a, b), CONSTRAINT fk FOREIGN KEY (a) REFERENCES accounts);
CREATE TABLE keyless (a int, j json, f float8); ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE events (id bigserial, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
CREATE INDEX ON accounts (balance) WHERE balance > 0;
CREATE VIEW rich AS SELECT * FROM accounts WHERE balance > 1000;
INSERT INTO accounts SELECT i, 'c' || i, i * 10, repeat('x', i % 50) FROM generate_series(1, 20000) i;
INSERT INTO entries SELECT i, 'e', i FROM generate_series(1, 20000) i;
INSERT INTO keyless SELECT i % 10, '{"a":1}', 0.1 FROM generate_series(1, 100) i;
INSERT INTO events (at) SELECT date '2026-01-01' + i % 360 FROM generate_series(1, 1000) i;
INSERT INTO "All Types" (i2,i4,i8,n,n2,f4,f8,b,c,v,t,by,d,tm,tz,ts,tstz,iv,u,j,jb,x,ip,cd,mac,bt,vb,ar,ta,m,ma,p,r,tr,do_,mo,pt,tsv,nm,ch,oi)
VALUES (1,2,3,'NaN',1.10,0.1,'-0',true,'ab','v','t''\\x','\\x00ff','infinity','12:00','12:00+07','-infinity','2026-01-01',
 '1 mon 2 days 03:04:05.6','00000000-0000-0000-0000-000000000001','{"b": 1,  "a":2}','{"a":1}','<a/>','10.0.0.1/8','10.0.0.0/8',
 '08:00:2b:01:02:03','101','1','{1,NULL,3}','{{"a,b","c\\"d"},{"",NULL}}','ok','{sad,happy}','(1,"a,b")','[1,5)','[2026-01-01,)',7,12.34,'(1,2)',
 'a:1 b:2','nm','c',42);
`

async function database(name: string): Promise<OpenOptions> {
  await source.createDatabase(name)
  await target.createDatabase(name)
  await source.query(schema, name)
  const urls = await moverAccounts({ source, target }, name)
  return {
    move: name,
    direction: 'forward',
    source: { kind: 'postgresql', url: urls.source },
    target: { kind: 'postgresql', url: urls.target },
    tools: {},
    workers: 3,
    log: { info() {}, warn() {}, error() {} },
  }
}

/** Prepares and loads; `after` is called between chunks. */
async function load(open: OpenOptions, options: { between?: () => Promise<void> } = {}): Promise<number> {
  const key = { move: open.move, direction: open.direction }
  const epoch = await onBoth(open, (s, t) =>
    prepareLoad({ open, key, source: s, target: t, fenceTarget: async () => {} }),
  )
  await using full = new FullLoad({ key, epoch, ...open })
  await full.groups()
  let chunks = 0
  for await (const chunk of full.chunks()) {
    await full.load(chunk, new AbortController().signal)
    chunks++
    await options.between?.()
  }
  await withSession({ endpoint: open.source, side: 'source', move: open.move, role: 'test' }, (s) =>
    releaseSnapshot(s, open.move),
  )
  await onBoth(open, (_, t) =>
    finishLoad({
      open,
      key,
      target: t,
      report: () => {},
      followUpTo: (at) => follow(open, (applied) => applied >= at),
    }),
  )
  return chunks
}

async function onBoth<T>(open: OpenOptions, work: (s: pg.Client, t: pg.Client) => Promise<T>): Promise<T> {
  const { move } = open
  return withSession({ endpoint: open.source, side: 'source', move, role: 'test' }, (s) =>
    withSession({ endpoint: open.target, side: 'target', move, role: 'test' }, (t) => work(s, t)),
  )
}

async function follow(open: OpenOptions, until: (applied: Lsn) => boolean | Promise<boolean>): Promise<void> {
  await using session = await openFollower({ open, key: { move: open.move, direction: open.direction } })
  const abort = new AbortController()
  let applied = 0n
  const report = ({ position }: FollowProgress) => {
    applied = parseLsn(position)
  }
  const run = session.follower.run({ signal: abort.signal, report, throttle: async () => {} })
  run.catch(() => {})
  try {
    await Promise.race([pollUntil('the target is level', async () => until(applied)), run])
  } finally {
    abort.abort()
    await run
  }
}

async function contents(server: PostgresqlServer, name: string): Promise<Record<string, string>> {
  const tables = ['"All Types"', 'accounts', 'entries', 'keyless', 'events_1', 'events_2']
  const result: Record<string, string> = {}
  for (const table of tables) {
    const rows = await server.query<{ d: string }>(
      `SET datestyle=ISO; SET timezone=UTC; SET lc_monetary='C'; SELECT count(*) || ' ' || coalesce(string_agg(md5(t::text), ',' ORDER BY t::text COLLATE "C"), '') AS d FROM ${table} t`,
      name,
    )
    result[table] = rows[0]?.d ?? ''
  }
  return result
}

async function expectEqual(name: string): Promise<void> {
  expect(await contents(target, name)).toEqual(await contents(source, name))
}

test('a loaded target equals the source, and goes on to as it is followed', async () => {
  const open = await database('plain')
  await source.query(`INSERT INTO keyless VALUES (99, '{}', 'NaN')`, 'plain')
  await load(open, {
    between: async () => {
      await source.query(
        `UPDATE accounts SET balance = balance + 1 WHERE id % 1000 = 7; INSERT INTO events (at) VALUES ('2026-03-03')`,
        'plain',
      )
    },
  })
  await source.query(
    `
    UPDATE "All Types" SET t = 'new', by = '\\x01', m = 'happy', p = '(2,"x y")', ta = '{{"\\\\ \\" ,"}}', n = '-123.4500', f8 = 1e-300, ma = '{happy}', jb = '[1, 2]';
    INSERT INTO "All Types" (i4, t) VALUES (21, repeat('long', 5000));
    UPDATE "All Types" SET i4 = 22 WHERE i4 = 21;
    BEGIN; DELETE FROM entries WHERE a = 5; DELETE FROM accounts WHERE id = 5; INSERT INTO accounts VALUES (5, 'c5', 1, NULL); COMMIT;
    BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE accounts SET code = 'tmp' WHERE id = 1; UPDATE accounts SET code = 'c1' WHERE id = 2; UPDATE accounts SET code = 'c2' WHERE id = 1; COMMIT;
    UPDATE entries SET b = 'moved', amount = -1 WHERE a = 10;
    DELETE FROM keyless WHERE ctid = (SELECT ctid FROM keyless WHERE a = 3 LIMIT 1);
    UPDATE keyless SET f = 0.2 WHERE ctid = (SELECT ctid FROM keyless WHERE a = 4 LIMIT 1);
    UPDATE events SET at = '2026-12-01' WHERE id = 1;
    INSERT INTO accounts SELECT i, 'c' || i, i, repeat('big', 10) FROM generate_series(30001, 90000) i;
    DELETE FROM accounts WHERE id BETWEEN 30001 AND 60000;
    TRUNCATE entries; INSERT INTO entries VALUES (1, 'after', 1);
  `,
    'plain',
  )
  const marker = 'SELECT count(*)::int AS n FROM accounts WHERE id = 90001'
  await source.query(`INSERT INTO accounts VALUES (90001, 'marker', 0, NULL)`, 'plain')
  await follow(open, async () => (await target.query<{ n: number }>(marker, 'plain'))[0]?.n === 1)
  await expectEqual('plain')
})

test('a source that restarts in mid-copy: finished tables stay, unfinished ones come at a new snapshot', async () => {
  const open = await database('restarted')
  const key = { move: open.move, direction: open.direction }
  const epoch = await onBoth(open, (s, t) =>
    prepareLoad({ open, key, source: s, target: t, fenceTarget: async () => {} }),
  )
  {
    await using full = new FullLoad({ key, epoch, ...open })
    await full.groups()
    for await (const chunk of full.chunks()) {
      await full.load(chunk, new AbortController().signal)
      break
    }
  }
  await source.restart()
  await source.query(
    `UPDATE accounts SET balance = 0 WHERE id < 100; INSERT INTO accounts VALUES (50001, 'x', 0, NULL); INSERT INTO entries VALUES (50001, 'x', 1);
     DELETE FROM entries WHERE a = 77; DELETE FROM accounts WHERE id = 77`,
    'restarted',
  )
  await load(open)
  await source.query(`INSERT INTO accounts VALUES (90001, 'marker', 0, NULL)`, 'restarted')
  const marker = 'SELECT count(*)::int AS n FROM accounts WHERE id = 90001'
  await follow(open, async () => (await target.query<{ n: number }>(marker, 'restarted'))[0]?.n === 1)
  await expectEqual('restarted')
})
