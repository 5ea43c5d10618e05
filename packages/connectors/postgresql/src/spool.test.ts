/**
 * Goal: with a spool the source may forget its log while a load goes on; nothing is lost by that, whatever ends the
 * mover, and a spool that is lost is said.
 * Method: a source that keeps 32 MB of log for a slot is loaded by mover processes that are held back, and writes far
 * more than that meanwhile.
 */
import { readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FollowedMove } from './test-fixtures/followed-move.ts'
import { moverAccounts } from './test-fixtures/mover-accounts.ts'
import { startMover } from './test-fixtures/start-mover.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  source = await startPostgresql({ major: 15, settings: { max_slot_wal_keep_size: '32MB', wal_keep_size: '0' } })
  target = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await source?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

const free = { bytesPerSecond: null, sourceSessions: null, replicaLagMs: null }

test('a long load on a source that keeps little log', { timeout: 240_000 }, async () => {
  const name = 'ledger'
  await using folder = await createTempFolder('spool')
  for (const server of [source, target]) await server.createDatabase(name)
  await source.query(
    `CREATE TABLE items (id int PRIMARY KEY, filler text); INSERT INTO items SELECT i, repeat('x', 500) FROM generate_series(1, 2000) i;
     ${['a', 'b', 'c', 'd', 'e'].map((t) => `CREATE TABLE ${t} (n int PRIMARY KEY); INSERT INTO ${t} SELECT generate_series(1, 20000);`).join(' ')}
     CREATE TABLE docs (id int PRIMARY KEY, body text, note text); INSERT INTO docs VALUES (1, 'first')`,
    name,
  )
  const urls = await moverAccounts({ source, target }, name)
  const spool = { folder: folder.path }
  const begin = async (state: 'planned' | 'loading', limits: object) => {
    const mover = await startMover(name, urls, { spool })
    await mover.client.call('throttle', { ...free, ...limits })
    const run = mover.client.call('run', { direction: 'forward', state })
    run.catch(() => {})
    return { mover, run }
  }
  const slot = async () => {
    const [row] = await source.query<{ behind: number; status: string }>(
      `SELECT (pg_current_wal_lsn() - restart_lsn)::int8::float8 AS behind, wal_status AS status FROM pg_replication_slots WHERE NOT temporary`,
      name,
    )
    return row ?? { behind: Number.POSITIVE_INFINITY, status: 'missing' }
  }
  /** More than the slot may hold back, and each time the source is seen to let go of it. */
  const outrun = async (run: Promise<unknown>, from: number, times: number) => {
    for (let n = from; n < from + times; n++) {
      await source.query(
        `BEGIN; INSERT INTO items VALUES (-${n}, 'card 4111 1111 1111 1111'); UPDATE items SET filler = filler || '.' WHERE id = ${n + 1}; COMMIT;
         BEGIN; UPDATE docs SET note = 'rolled back'; ROLLBACK;
         SELECT pg_logical_emit_message(false, '', repeat('w', 17000000)); SELECT pg_switch_wal()`,
        name,
      )
      // What a slot lets go of it says at the next checkpoint.
      const hasLetGo = async () => {
        await source.query('CHECKPOINT', name)
        return (await slot()).behind < 17_000_000
      }
      const patience = { withinMs: 60_000, everyMs: 300 }
      await Promise.race([pollUntil('the source lets go of its log', hasLetGo, patience), run])
    }
    expect((await slot()).status).toBe('reserved')
  }
  const isLoading = ({ events }: TestMover) => !events.some((e) => e.event === 'state' && e.state === 'catching-up')

  const first = await begin('planned', { sourceSessions: 0, bytesPerSecond: 1_000 })
  await Promise.race([first.mover.waitFor((e) => e.event === 'load'), first.run])
  await outrun(first.run, 1, 3)
  // A row of many megabytes goes through the spool, too.
  await source.query(`UPDATE docs SET body = repeat('0123456789', 2000000) WHERE id = 1`, name)
  await outrun(first.run, 4, 1)
  expect(isLoading(first.mover)).toBe(true)
  await first.mover.kill()
  const flow = join(folder.path, `${name}-forward`)
  const files = await readdir(flow)
  expect(files.length).toBeGreaterThan(0)
  for (const file of files) expect((await readFile(join(flow, file))).includes('4111')).toBe(false)

  const again = await begin('loading', { bytesPerSecond: 1_000 })
  await using second = again.mover
  await Promise.race([second.waitFor((e) => e.event === 'load'), again.run])
  await outrun(again.run, 7, 1)
  expect(isLoading(second)).toBe(true)
  await second.client.call('throttle', free)
  await Promise.race([second.waitFor((e) => e.event === 'state' && e.state === 'in-sync'), again.run])
  await source.query(`INSERT INTO items VALUES (0, 'last')`, name)
  const isLast = async () => (await target.query('SELECT FROM items WHERE id = 0', name)).length === 1
  await Promise.race([pollUntil('the last row came', isLast, { withinMs: 60_000 }), again.run])
  const compared = await second.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' })
  expect(compared).toMatchObject({ equal: true })
  const isEmpty = async () => (await readdir(flow)).length === 0
  await Promise.race([pollUntil('what was read is deleted', isEmpty, { withinMs: 60_000 }), again.run])
  await second.client.call('stop', {})
})

test('a spool that is gone has a name; put back, it is read to its end', async () => {
  const name = 'lost'
  await using folder = await createTempFolder('spool')
  for (const server of [source, target]) await server.createDatabase(name)
  await source.query('CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)', name)
  const spool = { folder: join(folder.path, 'here') }
  const urls = await moverAccounts({ source, target }, name)
  const sides = {
    source: { kind: 'postgresql', url: urls.source },
    target: { kind: 'postgresql', url: urls.target },
  } as const
  {
    const loaded = new FollowedMove({ name, source, target, open: { ...sides, spool } })
    await loaded.load(async () => {
      await source.query('INSERT INTO items VALUES (2)', name)
      const [{ at } = { at: '' }] = await source.query<{ at: string }>('SELECT pg_current_wal_lsn() AS at', name)
      const isTold = async () =>
        (await source.query(`SELECT FROM pg_replication_slots WHERE confirmed_flush_lsn >= '${at}'`, name)).length > 0
      await pollUntil('the source was told', isTold)
    })
    await loaded.mover[Symbol.asyncDispose]()
  }
  await rename(spool.folder, join(folder.path, 'away'))
  for (const open of [{ ...sides, spool }, sides]) {
    const lost = new FollowedMove({ name, source, target, open })
    lost.follow()
    await expect(lost.following).rejects.toMatchObject({ code: 'postgresql.spool-lost' })
    await lost.mover[Symbol.asyncDispose]()
  }
  const rows = () => target.query('SELECT id FROM items ORDER BY id', name)
  expect(await rows()).toEqual([{ id: 1 }])
  await using found = new FollowedMove({
    name,
    source,
    target,
    open: { ...sides, spool: { folder: join(folder.path, 'away') } },
  })
  found.follow()
  await found.level()
  expect(await rows()).toEqual([{ id: 1 }, { id: 2 }])
  expect((await found.compare()).equal).toBe(true)
})
