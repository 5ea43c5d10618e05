/**
 * Goal: neither a transaction of very many rows nor a row of very many bytes takes a mover more than its 300 MB.
 * Method: a real mover follows them, and the most that its process ever held is read from the kernel. `npm run
 * bench -- postgresql` measures the same with ten million rows.
 */
import { readFile } from 'node:fs/promises'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import { expect, test } from 'vitest'
import { readTables } from './catalog.ts'
import { largeValueFindings } from './large-values.ts'
import { withSession } from './session.ts'
import { moverAccounts } from './test-fixtures/mover-accounts.ts'
import { startMover } from './test-fixtures/start-mover.ts'

test('a transaction of many rows and rows of 100 MB, by a mover under 300 MB', { timeout: 300_000 }, async () => {
  await using source = await startPostgresql({ major: 15 })
  await using target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) await server.createDatabase('big')
  await source.query(
    `CREATE TABLE items (id int PRIMARY KEY, filler text); CREATE TABLE docs (id int PRIMARY KEY, body text, raw bytea, title text)`,
    'big',
  )
  await using mover = await startMover('big', await moverAccounts({ source, target }, 'big'))
  const run = mover.client.call('run', { direction: 'forward', state: 'planned' })
  run.catch(() => {})
  await Promise.race([mover.waitFor((e) => e.event === 'state' && e.state === 'in-sync'), run])

  await source.query(`INSERT INTO items SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i`, 'big')
  await source.query(`INSERT INTO docs SELECT 1, repeat('0123456789', 10000000), NULL, 'é'`, 'big')
  await source.query(`UPDATE docs SET body = repeat('9876543210é', 2500000), title = 'two' WHERE id = 1`, 'big')
  await source.query(
    `UPDATE docs SET id = 2, raw = decode(repeat('00ff', 8000000), 'hex'), body = 'small' WHERE id = 1`,
    'big',
  )
  await source.query(`INSERT INTO docs VALUES (3, 'last')`, 'big')
  const digest = `SELECT id, md5(body) AS body, length(body) AS letters, md5(raw) AS raw, title FROM docs ORDER BY id`
  const isThere = async () => (await target.query('SELECT FROM docs WHERE id = 3', 'big')).length === 1
  await Promise.race([pollUntil('the last row came', isThere, { withinMs: 240_000 }), run])
  expect(await target.query(digest, 'big')).toEqual(await source.query(digest, 'big'))
  expect(await target.query('SELECT count(*)::int AS n FROM items', 'big')).toEqual([{ n: 200_000 }])
  const status = await readFile(`/proc/${mover.pid}/status`, 'utf8')
  const mostMegabytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024
  expect(mostMegabytes).toBeLessThan(300)
  await mover.client.call('stop', {})
})

test('rows that would take a mover more are found without being read', async () => {
  await using source = await startPostgresql({ major: 13 })
  await source.query(
    `CREATE TABLE docs (id int, body text, raw bytea); INSERT INTO docs VALUES (1, repeat('x', 210 * 1048576), NULL), (2, repeat('x', 90 * 1048576), NULL);
     CREATE TABLE scans (id int, raw bytea); INSERT INTO scans SELECT i, decode(repeat('0f', 5 * 1048576), 'hex') FROM generate_series(1, 20) i`,
  )
  const endpoint = { kind: 'postgresql' as const, url: source.url() }
  const findings = await withSession({ endpoint, side: 'source', move: 'big', role: 'test' }, async (session) => {
    await session.query('BEGIN')
    return largeValueFindings(session, await readTables(session))
  })
  expect(findings).toMatchObject([
    { id: 'postgresql.large-value', evidence: ['public.docs: 1 rows, the largest 210 MB'] },
  ])
})
