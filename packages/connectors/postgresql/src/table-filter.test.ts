/**
 * Goal: with a filter every verb sees the tables that move and no others, and what reaches over its edge is told.
 * Method: one move there and back between two servers, while an application works on both halves of the schema.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { expect, test } from 'vitest'
import { readGrants } from './grants.ts'
import { PostgresqlMover } from './mover.ts'
import { FollowedMove } from './test-fixtures/followed-move.ts'

const tables = { include: ['shop.*', 'rates.eur'], exclude: ['shop.customers', 'shop.audit_*'] }

const schema = `
CREATE ROLE app LOGIN PASSWORD 'rig-app'; CREATE ROLE clerk; CREATE SCHEMA shop; CREATE SCHEMA rates; SET search_path = shop, public;
CREATE TABLE customers (id bigserial PRIMARY KEY, name text); CREATE TABLE audit_log (id bigserial PRIMARY KEY, what text);
CREATE SEQUENCE rates.order_number;
CREATE TABLE orders (id int PRIMARY KEY DEFAULT nextval('rates.order_number'), customer bigint REFERENCES customers, amount bigint);
CREATE TABLE payments (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE rates.part_of_payments PARTITION OF payments FOR VALUES FROM (0) TO (100);
CREATE TABLE rates.eur (day int PRIMARY KEY); CREATE TABLE rates.usd (day int PRIMARY KEY); ALTER TABLE rates.usd OWNER TO clerk;
CREATE FUNCTION greet(customers, int) RETURNS text LANGUAGE sql AS $$ SELECT $1.name $$; REVOKE ALL ON FUNCTION greet FROM PUBLIC; COMMENT ON FUNCTION greet IS 'of a row';
CREATE VIEW order_names AS SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer; CREATE VIEW totals AS SELECT sum(amount) FROM orders;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO shop.audit_log (what) VALUES ('order'); RETURN NULL; END $$;
CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 50) i; INSERT INTO orders (customer, amount) SELECT i, i FROM generate_series(1, 50) i;
INSERT INTO payments SELECT i, i FROM generate_series(1, 50) i; INSERT INTO rates.eur VALUES (1); INSERT INTO rates.usd VALUES (1);
GRANT USAGE ON SCHEMA shop, rates TO app; GRANT ALL ON ALL TABLES IN SCHEMA shop, rates TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA shop, rates TO app`

const moving = ['rates.eur', 'rates.part_of_payments', 'shop.orders']

test('a filtered move there and back', { timeout: 180_000 }, async () => {
  await using source = await startPostgresql({ major: 15 })
  await using target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) await server.createDatabase('shop')
  await source.query(schema, 'shop')
  await target.query(`CREATE ROLE app LOGIN PASSWORD 'rig-app'; CREATE ROLE clerk`)
  const side = (server: typeof source) => ({ kind: 'postgresql' as const, url: server.url('shop'), tables })
  const open = { source: side(source), target: side(target), schemaChanges: 'carry' as const }
  await using move = new FollowedMove({ name: 'shop', source, target, open })

  const findings = await move.mover.assess()
  const evidenceOf = (id: string) => findings.find((finding) => finding.id === id)?.evidence
  expect(evidenceOf('postgresql.filter')).toEqual(
    ['shop.audit_log', 'shop.customers', 'rates.usd'].sort().map((t) => `stays: ${t}`),
  )
  expect(evidenceOf('postgresql.filter-crossing-foreign-key')).toEqual([
    expect.stringContaining('shop.orders refers to shop.customers'),
  ])
  expect(evidenceOf('postgresql.filter-crossing-trigger')).toEqual([
    expect.stringContaining('noted on shop.orders, which moves, names shop.audit_log'),
  ])
  expect(evidenceOf('postgresql.filter-left-behind')).toEqual([
    'function shop.greet(shop.customers,integer)',
    'view shop.order_names',
  ])
  expect(findings.filter(({ severity }) => severity === 'blocker')).toEqual([])

  await move.load()
  const onTarget = `SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('shop', 'rates') AND c.relkind IN ('r', 'S', 'v') ORDER BY 1`
  const names = (await target.query(onTarget, 'shop')).map(({ name }) => name)
  expect(names).toEqual([...moving, 'rates.order_number', 'shop.totals'].sort())

  move.follow()
  await source.query(
    `UPDATE shop.orders SET amount = amount + 1 WHERE id < 10; INSERT INTO shop.customers (name) VALUES ('new');
    CREATE TABLE shop.added (id int PRIMARY KEY); INSERT INTO shop.added VALUES (1);
    CREATE TABLE shop.audit_more (id int PRIMARY KEY); INSERT INTO shop.audit_more VALUES (1)`,
    'shop',
  )
  await move.level()
  const report = await move.compare()
  expect(report.equal).toBe(true)
  expect(report.results.map((result) => result.name)).toEqual([...moving, 'shop.added'].sort())

  // An application that goes on: what it has open on tables that stay outlives the fence.
  await using app = await client(source.url('shop', 'app', 'rig-app'))
  await app.query(`BEGIN; INSERT INTO shop.customers (name) VALUES ('open')`)
  await using writer = await client(source.url('shop', 'app', 'rig-app'))
  await writer.query('BEGIN; UPDATE shop.orders SET amount = 0 WHERE id = 50')
  await using back = new PostgresqlMover({
    ...move.open,
    direction: 'reverse',
    source: open.target,
    target: open.source,
  })
  await app.query('COMMIT')
  await back.prepare({ load: false })
  await app.query(`BEGIN; INSERT INTO shop.customers (name) VALUES ('open')`)
  await move.mover.fence('source', { withinMs: 9_000, turn: 1 })
  await app.query('COMMIT; SELECT 1')
  await expect(app.query('UPDATE shop.orders SET amount = 0')).rejects.toThrow('fenced by Replatform')
  await expect(source.query('UPDATE shop.orders SET amount = 0', 'shop')).rejects.toThrow('fenced by Replatform')
  await expect(source.query('CREATE TABLE shop.later (id int)', 'shop')).rejects.toThrow('fenced by Replatform')
  await expect(source.query('DROP TABLE rates.eur', 'shop')).rejects.toThrow('fenced by Replatform')
  await source.query('CREATE TABLE rates.later (id int); DROP TABLE rates.later', 'shop')
  await expect(writer.query('COMMIT')).rejects.toThrow()

  await move.level()
  await move.stop()
  expect((await move.mover.compare({ scope: 'changed', at: 'fenced' })).equal).toBe(true)
  await move.mover.settle()
  await back.markStart()
  await move.mover.unfence('target', { turn: 1 })
  const end = new AbortController()
  const following = back.follow({ signal: end.signal, report: () => {}, throttle: async () => {} })
  await target.query('UPDATE shop.orders SET amount = 77 WHERE id = 1', 'shop')
  await pollUntil('the way back carries the change', async () => {
    const [row] = await source.query('SELECT amount FROM shop.orders WHERE id = 1', 'shop')
    return row?.amount === '77'
  })
  end.abort()
  await following
  await move.mover.unfence('source', { turn: 1 })
  await app.query('UPDATE shop.orders SET amount = 0 WHERE id = 2')
  await back.cleanUp('everything')
  await move.mover.cleanUp('everything')
})

test('patterns that fit nothing, and partitions without their table, are refused before anything is touched', async () => {
  await using source = await startPostgresql({ major: 13 })
  await using target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) await server.createDatabase('shop')
  await source.query(schema, 'shop')
  await target.query(`CREATE ROLE app LOGIN PASSWORD 'rig-app'; CREATE ROLE clerk`)
  const withFilter = (filter: object) => {
    const side = (server: typeof source) => ({ kind: 'postgresql' as const, url: server.url('shop'), tables: filter })
    return new FollowedMove({ name: 'shop', source, target, open: { source: side(source), target: side(target) } })
  }
  const refused = async (filter: object, code: string) => {
    await using move = withFilter(filter)
    await expect(move.mover.prepare({ load: true })).rejects.toMatchObject({ code })
    const blockers = (await move.mover.assess()).filter(({ severity }) => severity === 'blocker').map(({ id }) => id)
    expect(blockers).toContain(code)
  }
  await refused({ include: ['shop.*', 'shop.Orders'] }, 'postgresql.filter-matches-nothing')
  await refused({ include: ['shop.*'], exclude: ['shop.none_*'] }, 'postgresql.filter-matches-nothing')
  await refused({ exclude: ['shop.*', 'rates.*'] }, 'postgresql.filter-matches-nothing')
  await refused({ include: ['rates.part_of_payments'] }, 'postgresql.filter-splits')
  expect(await source.query(`SELECT FROM pg_namespace WHERE nspname = 'replatform'`, 'shop')).toEqual([])
})

test('accounts of a filtered move own only what moves, and not the database', async () => {
  await using source = await startPostgresql({ major: 15 })
  await source.createDatabase('shop')
  await source.query(`${schema}; ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY`, 'shop')
  const endpoint = { kind: 'postgresql' as const, url: source.url('shop'), tables: { include: ['rates.usd'] } }
  const [filtered] = await readGrants({ move: 'shop', account: 'mover', source: endpoint, target: endpoint })
  expect(
    filtered?.statements.filter((statement) => / TO "mover";$/.test(statement) && /^GRANT "/.test(statement)),
  ).toEqual(['GRANT "clerk" TO "mover";'])
  expect(filtered?.statements.join(' ')).not.toContain('BYPASSRLS')
})

async function client(connectionString: string): Promise<pg.Client & AsyncDisposable> {
  const opened = new pg.Client({ connectionString })
  opened.on('error', () => {})
  await opened.connect()
  return Object.assign(opened, { [Symbol.asyncDispose]: () => opened.end().catch(() => {}) })
}
