/**
 * Goal: a run is held back by what the operator allows, says why, goes on when that changes, and loses nothing by it.
 * Method: a real mover process is told its limits while it loads and follows, and the source is given work of others.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { expect, test } from 'vitest'
import { startMover } from './test-fixtures/start-mover.ts'

const free = { bytesPerSecond: null, sourceSessions: null, replicaLagMs: null }

test('limits hold a load and a stream, and lifting them lets both go on', { timeout: 120_000 }, async () => {
  await using source = await startPostgresql({ major: 15 })
  await using target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) await server.createDatabase('shop')
  await source.query(
    `CREATE TABLE items (id int PRIMARY KEY, filler text); INSERT INTO items SELECT i, repeat('x', 500) FROM generate_series(1, 60000) i`,
    'shop',
  )
  await using mover = await startMover('shop', { source: source.url('shop'), target: target.url('shop') })
  const busy = new pg.Client({ connectionString: source.url('shop') })
  // Its session is ended below, as an operator would.
  busy.on('error', () => {})
  await busy.connect()
  const work = busy.query('SELECT pg_sleep(600)').catch(() => {})
  await mover.client.call('throttle', { ...free, sourceSessions: 0 })
  const run = mover.client.call('run', { direction: 'forward', state: 'planned' })
  run.catch(() => {})
  const held = await Promise.race([mover.waitFor((e) => e.event === 'held' && e.by !== null), run])
  expect(held).toMatchObject({ by: expect.stringContaining('1 sessions are at work on the source; 0 are allowed') })
  expect(mover.events.some((e) => e.event === 'state' && e.state === 'catching-up')).toBe(false)

  await source.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%' AND pid <> pg_backend_pid()`,
  )
  await work
  await Promise.race([mover.waitFor((e) => e.event === 'state' && e.state === 'in-sync'), run])

  const count = async () => (await target.query<{ n: number }>('SELECT count(*)::int AS n FROM items', 'shop'))[0]?.n
  await mover.client.call('throttle', { ...free, bytesPerSecond: 0 })
  // The first batch is on its way already, or not: one of the two that come after it waits.
  for (const id of [60_001, 60_002, 60_003]) {
    await source.query(`INSERT INTO items VALUES (${id}, 'y'); SELECT pg_sleep(0.6)`, 'shop')
  }
  expect(await count()).toBeLessThan(60_003)
  await mover.client.call('throttle', free)
  await pollUntil('all rows came', async () => (await count()) === 60_003)
  await mover.client.call('stop', {})
})
