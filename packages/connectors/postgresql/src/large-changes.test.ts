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

test('values of 200 MB, as text and as bytes, are loaded, followed and compared by a mover under 300 MB', {
  timeout: 300_000,
}, async () => {
  await using source = await startPostgresql({ major: 15 })
  await using target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) await server.createDatabase('big')
  await source.query(
    `CREATE TABLE items (id int PRIMARY KEY, filler text);
     CREATE TABLE docs (id int PRIMARY KEY, body text, raw bytea, title text, n int GENERATED ALWAYS AS IDENTITY);
     CREATE TABLE keyless (body text, n int); ALTER TABLE keyless REPLICA IDENTITY FULL;
     INSERT INTO docs VALUES (1, repeat('0123456789', 20971520))`,
    'big',
  )
  await using mover = await startMover('big', await moverAccounts({ source, target }, 'big'))
  const run = mover.client.call('run', { direction: 'forward', state: 'planned' })
  run.catch(() => {})
  await Promise.race([mover.waitFor((e) => e.event === 'state' && e.state === 'in-sync'), run])

  const changes = [
    `INSERT INTO items SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i`,
    `UPDATE docs SET title = 'é' WHERE id = 1`,
    `INSERT INTO docs VALUES (2, 'two', decode(repeat('00ff', 104857600), 'hex'))`,
    // A large value that is left unsaid, as the key changes; then one that another replaces.
    `UPDATE docs SET id = 3 WHERE id = 2`,
    `UPDATE docs SET body = repeat('9876543210é', 5000000), n = DEFAULT WHERE id = 1`,
    `INSERT INTO keyless SELECT repeat('é', 9000000), n FROM generate_series(1, 2) n`,
    `UPDATE keyless SET n = 3, body = body || '.' WHERE n = 2`,
    `DELETE FROM keyless WHERE n = 1`,
    `INSERT INTO items VALUES (0, 'last')`,
  ]
  for (const change of changes) await source.query(change, 'big')
  const isThere = async () => (await target.query('SELECT FROM items WHERE id = 0', 'big')).length === 1
  await Promise.race([pollUntil('the last row came', isThere, { withinMs: 240_000 }), run])
  for (const sql of [
    `SELECT id, md5(body) AS body, length(body) AS letters, md5(raw) AS raw, title, n FROM docs ORDER BY id`,
    `SELECT md5(body) AS body, n FROM keyless ORDER BY n`,
    `SELECT count(*)::int AS n FROM items`,
  ]) {
    expect(await target.query(sql, 'big')).toEqual(await source.query(sql, 'big'))
  }
  expect(await mover.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' })).toMatchObject({
    equal: true,
  })
  const status = await readFile(`/proc/${mover.pid}/status`, 'utf8')
  const mostMegabytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024
  expect(mostMegabytes).toBeLessThan(300)
  await mover.client.call('stop', {})
})

test('larger values, and rows that cannot be sent, are found without being read', async () => {
  await using source = await startPostgresql({ major: 13 })
  await source.query(
    `CREATE TABLE docs (id int, body text, raw bytea); INSERT INTO docs VALUES (1, repeat('x', 210 * 1048576), NULL), (2, repeat('x', 190 * 1048576), NULL);
     CREATE TABLE scans (id int, raw bytea, more bytea); ALTER TABLE scans REPLICA IDENTITY FULL;
     INSERT INTO scans SELECT i, decode(repeat('0f', 150 * 1048576), 'hex') FROM generate_series(1, 2) i; UPDATE scans SET more = raw WHERE id = 1`,
  )
  const endpoint = { kind: 'postgresql' as const, url: source.url() }
  const findings = await withSession({ endpoint, side: 'source', move: 'big', role: 'test' }, async (session) => {
    await session.query('BEGIN')
    return largeValueFindings(session, await readTables(session))
  })
  expect(findings).toMatchObject([
    { id: 'postgresql.large-value', evidence: ['public.docs: 1 rows, the largest value 210 MB'] },
    { id: 'postgresql.row-too-large-to-follow', evidence: ['public.scans: 1 rows'] },
  ])
})
