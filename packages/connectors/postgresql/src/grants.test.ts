/**
 * Goal: the statements that `replatform grants` prints are enough for a whole move there and back, on a plain server and
 * on RDS, and leave out what a move does not take.
 * Method: the statements are run as they are printed; from then on only the accounts that they made are used.
 */
import type { OpenOptions } from '@replatform/core/connector'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds } from '@replatform/testkit/rds'
import { expect, test } from 'vitest'
import { readGrants } from './grants.ts'
import { PostgresqlMover } from './mover.ts'
import { FollowedMove } from './test-fixtures/followed-move.ts'

const schema = `
CREATE ROLE owner_of_all LOGIN; CREATE ROLE reader;
CREATE TABLE accounts (id bigserial PRIMARY KEY, balance bigint NOT NULL); ALTER TABLE accounts OWNER TO owner_of_all; GRANT SELECT ON accounts TO reader;
CREATE TABLE secured (id int PRIMARY KEY, tenant text); ALTER TABLE secured OWNER TO owner_of_all; ALTER TABLE secured ENABLE ROW LEVEL SECURITY; ALTER TABLE secured FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secured USING (tenant = current_user);
INSERT INTO accounts (balance) SELECT i FROM generate_series(1, 500) i; INSERT INTO secured SELECT i, 't' || i FROM generate_series(1, 100) i;
`

async function run(server: PostgresqlServer, database: string, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await server.query(statement, database)
  await server.query(`ALTER ROLE mover PASSWORD 'rig-mover'`)
}

/** By the accounts alone: findings, load, changes, comparison, both fences, the end of the pause, and the way back. */
async function wholeMove(move: FollowedMove, change: () => Promise<unknown>): Promise<void> {
  const findings = await move.mover.assess()
  expect(findings.filter(({ severity }) => severity === 'blocker')).toEqual([])
  await move.load()
  move.follow()
  await change()
  await move.level()
  expect((await move.compare()).results).toMatchObject([
    { name: 'public.accounts', matching: 500, mismatched: 0, missing: 0, extra: 0 },
    { name: 'public.secured', matching: 100, mismatched: 0, missing: 0, extra: 0 },
  ])
  const { source, target } = move.open
  await using back = new PostgresqlMover({ ...move.open, direction: 'reverse', source: target, target: source })
  await back.prepare({ load: false })
  await move.mover.fence('source', { withinMs: 20_000, turn: 1 })
  await move.level()
  await move.stop()
  expect((await move.mover.compare({ scope: 'changed', at: 'fenced' })).equal).toBe(true)
  await move.mover.settle()
  await back.markStart()
  await move.mover.unfence('target', { turn: 1 })
  const end = new AbortController()
  const following = back.follow({ signal: end.signal, report: () => end.abort(), throttle: async () => {} })
  await following
  await back.cleanUp('everything')
  await move.mover.cleanUp('everything')
}

function options(source: PostgresqlServer, target: PostgresqlServer, service?: string): Partial<OpenOptions> {
  const side = (server: PostgresqlServer) => ({
    kind: 'postgresql' as const,
    url: server.url('shop', 'mover', 'rig-mover'),
  })
  return { source: side(source), target: { ...side(target), service } }
}

test('accounts of a plain source and a plain target', async () => {
  await using source = await startPostgresql({ major: 15 })
  await using target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) {
    await server.query('CREATE ROLE keeper')
    await server.query('CREATE DATABASE shop OWNER keeper')
  }
  await source.query(schema, 'shop')
  const admin = { move: 'shop', account: 'mover' }
  const sides = await readGrants({
    ...admin,
    source: { kind: 'postgresql', url: source.url('shop') },
    target: { kind: 'postgresql', url: target.url('shop') },
  })
  await run(source, 'shop', sides[0]?.statements ?? [])
  await run(target, 'shop', sides[1]?.statements ?? [])
  const [rights] = await source.query(
    `SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'mover'`,
  )
  expect(rights).toEqual({ rolsuper: false, rolcreatedb: false, rolcreaterole: false })
  await using move = new FollowedMove({ name: 'shop', source, target, open: options(source, target) })
  await wholeMove(move, () => source.query('UPDATE accounts SET balance = 0 WHERE id < 10', 'shop'))
})

test('the source before 15 takes a superuser for the way back, and says so', async () => {
  await using source = await startPostgresql({ major: 13 })
  await source.createDatabase('shop')
  const url = source.url('shop')
  const endpoint = { kind: 'postgresql' as const, url }
  const [side] = await readGrants({ move: 'shop', account: 'mover', source: endpoint, target: endpoint })
  expect(side?.statements).toContain('ALTER ROLE "mover" SUPERUSER;')
  expect(side?.remarks.join(' ')).toContain('Before PostgreSQL 15')
  expect(JSON.stringify(side)).not.toContain(source.password)
})

test('what is printed for RDS, its master may run, apart from what RDS gives by roles of its own', async () => {
  await using source = await startPostgresql({ major: 15 })
  await using rds = await asRds(await startPostgresql({ major: 17 }))
  await source.createDatabase('shop')
  await rds.createDatabase('shop')
  await source.query(schema, 'shop')
  const sides = await readGrants({
    move: 'shop',
    account: 'mover',
    source: { kind: 'postgresql', url: source.url('shop') },
    target: { kind: 'postgresql', url: rds.masterUrl('shop'), service: 'rds' },
  })
  const statements = sides[1]?.statements ?? []
  expect(statements).toContain('GRANT rds_replication TO "mover";')
  expect(statements.join(' ')).not.toMatch(/SUPERUSER|REPLICATION\b(?! TO)/)
  expect(statements).toContain('GRANT SET ON PARAMETER session_replication_role TO "mover";')
})
