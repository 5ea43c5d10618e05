/**
 * Goal: a comparison that dies leaves what it found equal; the next one reads only the rest, and finds what was changed
 * in what it does not read again.
 * Method: a real mover is killed in the middle of a table, while the line to the source stands still.
 */
import type { CompareReport } from '@replatform/core/difference'
import type { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type MoverUrls, moverAccounts } from './test-fixtures/mover-accounts.ts'
import { startMover } from './test-fixtures/start-mover.ts'

let source: PostgresqlServer
let target: PostgresqlServer
let urls: MoverUrls

beforeAll(async () => {
  source = await startPostgresql({ major: 15 })
  target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) await server.createDatabase('bank')
  await source.query(
    `CREATE TABLE accounts (id int PRIMARY KEY, balance bigint); INSERT INTO accounts SELECT i, i FROM generate_series(1, 1000) i;
     CREATE TABLE entries (book varchar(20), at timestamptz, amount bigint, PRIMARY KEY (book, at));
     INSERT INTO entries SELECT 'bö\\k' || i / 50000, now() + i * interval '1 ms', i FROM generate_series(1, 300000) i;
     CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL; INSERT INTO keyless SELECT 1 FROM generate_series(1, 500)`,
    'bank',
  )
  urls = await moverAccounts({ source, target }, 'bank')
}, 120_000)
afterAll(async () => {
  await source?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

test('what was equal is not read again, and what was written meanwhile is', { timeout: 180_000 }, async () => {
  await using proxy = await startTcpProxy({ host: source.host, port: source.port })
  const first = await follow(proxy.url(urls.source), 'planned')
  await killInEntries(first, proxy)

  await using second = await follow(urls.source, 'in-sync')
  await source.query(`UPDATE accounts SET balance = 0 WHERE id = 7; DELETE FROM entries WHERE amount = 1`, 'bank')
  const equal = await compare(second)
  expect(equal.equal).toBe(true)
  const [accounts, entries, keyless] = equal.results
  expect(accounts).toMatchObject({ name: 'public.accounts', processed: 1_000, resumed: 1_000 })
  expect(entries?.resumed).toBeGreaterThanOrEqual(50_000)
  expect(entries?.processed).toBe(300_000)
  expect(keyless).not.toHaveProperty('resumed')

  // Nothing is left to go on with once a comparison came to its end.
  expect((await compare(second)).results.every(({ resumed }) => resumed === undefined)).toBe(true)
})

test('a row that went wrong in what is not read again is found when it was written since', {
  timeout: 180_000,
}, async () => {
  await using proxy = await startTcpProxy({ host: source.host, port: source.port })
  const first = await follow(proxy.url(urls.source), 'in-sync')
  await killInEntries(first, proxy)
  await using second = await follow(urls.source, 'in-sync')
  await source.query('UPDATE accounts SET balance = -1 WHERE id = 8', 'bank')
  await pollUntil('the change is on the target', async () => {
    const [row] = await target.query('SELECT balance FROM accounts WHERE id = 8', 'bank')
    return row?.balance === '-1'
  })
  await tamper(`SET replatform.mover = 'bank'; UPDATE accounts SET balance = -2 WHERE id = 8`)
  const report = await compare(second)
  expect(report.results[0]).toMatchObject({ name: 'public.accounts', mismatched: 1, samples: [{ key: '8' }] })
})

async function follow(url: string, state: 'planned' | 'in-sync'): Promise<TestMover> {
  const mover = await startMover('bank', { source: url, target: urls.target })
  const run = mover.client.call('run', { direction: 'forward', state })
  run.catch(() => {})
  await Promise.race([mover.waitFor((e) => e.event === 'follow' && e.progress.lagMs < 1_000), run])
  return mover
}

/** By the one account that the fence lets pass. */
async function tamper(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: urls.target })
  await client.connect()
  await client.query(sql)
  await client.end()
}

function compare(mover: TestMover): Promise<CompareReport> {
  return mover.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' })
}

async function killInEntries(mover: TestMover, proxy: { blackhole(): void }): Promise<void> {
  compare(mover).catch(() => {})
  await mover.waitFor((e) => e.event === 'compare' && e.name === 'public.entries' && e.processed >= 100_000)
  proxy.blackhole()
  await pollUntil('a part of the table is noted', async () => {
    const rows = await target.query(`SELECT FROM replatform.compared WHERE next_key IS NOT NULL`, 'bank')
    return rows.length === 1
  })
  await mover.kill()
}
