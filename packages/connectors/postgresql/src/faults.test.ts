/**
 * Goal: each fault of a server or of the network ends in an error with a name, and nothing is lost by it.
 * Method: the fault is provoked on real servers in the middle of a move; where it can be mended the move goes on.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { createSmallDisk, smallDiskRefusal } from '@replatform/testkit/small-disk'
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openFollower } from './open-follower.ts'
import { FollowedMove } from './test-fixtures/followed-move.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  source = await startPostgresql({ major: 13, settings: { max_slot_wal_keep_size: '16MB', wal_keep_size: '0' } })
  target = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await source?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

async function move(
  name: string,
  on: { source?: PostgresqlServer; target?: PostgresqlServer } = {},
): Promise<FollowedMove> {
  const sides = { source: on.source ?? source, target: on.target ?? target }
  await sides.source.createDatabase(name)
  await sides.target.createDatabase(name)
  await sides.source.query(
    `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i`,
    name,
  )
  return new FollowedMove({ name, ...sides })
}

/** More log than the slot may keep, and the checkpoint that takes it away. */
async function passTheLimit(name: string): Promise<void> {
  for (let segment = 0; segment < 4; segment++)
    await source.query('INSERT INTO t SELECT max(id) + 1, $$w$$ FROM t; SELECT pg_switch_wal()', name)
  await source.query('CHECKPOINT')
}

test('a slot that is invalidated during the load ends it at the next chunk', async () => {
  await using load = await move('outrun')
  await expect(load.load(() => passTheLimit('outrun'))).rejects.toMatchObject({ code: 'postgresql.slot-missing' })
})

test('a slot that is invalidated between two runs ends the next one, and the target stays as it was', async () => {
  await using followed = await move('stale')
  await followed.load()
  await passTheLimit('stale')
  followed.follow()
  await expect(followed.following).rejects.toMatchObject({ code: 'postgresql.slot-missing' })
  expect(await target.query('SELECT count(*)::int AS n FROM t', 'stale')).toEqual([{ n: 1_000 }])
})

test('a source that was promoted from a standby is told from the one before, at once', async () => {
  await using own = await startPostgresql({ major: 13 })
  await using followed = await move('promoted', { source: own })
  await followed.load()
  await own.stop()
  await writeFile(join(own.dataDir, 'standby.signal'), '')
  await own.restart()
  followed.follow()
  await expect(followed.following).rejects.toMatchObject({ code: 'postgresql.source-standby' })
  await own.query('SELECT pg_promote()')
  followed.follow()
  await expect(followed.following).rejects.toMatchObject({ code: 'postgresql.timeline-changed' })
})

test.each(['source', 'target'] as const)(
  'a wedged connection to the %s is found out, and the move goes on',
  async (side) => {
    const name = `wedged_${side}`
    await using followed = await move(name)
    await followed.load()
    const server = side === 'source' ? source : target
    await using proxy = await startTcpProxy({ host: server.host, port: server.port })
    const { open } = followed
    const behind = { ...open, [side]: { ...open[side], url: proxy.url(open[side].url) } }
    const key = { move: open.move, direction: open.direction }
    await using flow = await openFollower({ open: behind, key, patienceMs: 1_000 })
    const end = new AbortController()
    let isLevel = false
    const run = flow.follower.run({
      signal: end.signal,
      report: ({ lagBytes }) => {
        isLevel = lagBytes === 0
      },
      throttle: async () => {},
    })
    run.catch(() => {})
    await pollUntil('it follows', () => isLevel)
    proxy.blackhole()
    await source.query(`INSERT INTO t VALUES (5000, 'x')`, name)
    await expect(run).rejects.toMatchObject({
      code: 'connection.lost',
      message: expect.stringContaining('has not answered'),
    })
    await proxy.restore()
    followed.follow()
    await followed.level()
    expect(await target.query('SELECT v FROM t WHERE id = 5000', name)).toEqual([{ v: 'x' }])
  },
)

test('a target that is slow is not taken for a wedged one', async () => {
  await using followed = await move('slow')
  await followed.load()
  const { open } = followed
  await using flow = await openFollower({ open, key: { move: open.move, direction: open.direction }, patienceMs: 400 })
  const end = new AbortController()
  const run = flow.follower.run({ signal: end.signal, report: () => {}, throttle: async () => {} })
  run.catch(() => {})
  const holder = target.query(
    `SET replatform.mover = 'slow'; BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT`,
    'slow',
  )
  await pollUntil(
    'the table is locked',
    async () =>
      (
        await target.query(
          `SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 't'::regclass AND granted`,
          'slow',
        )
      ).length > 0,
  )
  await source.query(`INSERT INTO t VALUES (5000, 'x')`, 'slow')
  await Promise.race([holder, run])
  await Promise.race([
    pollUntil('the row came', async () => (await target.query('SELECT FROM t WHERE id = 5000', 'slow')).length === 1),
    run,
  ])
  end.abort()
  await run
})

test.skipIf(smallDiskRefusal)(
  `a full disk of the target pauses the move by name, and there is no gap once it has room (${smallDiskRefusal ?? 'as root'})`,
  async () => {
    await using disk = await createSmallDisk(400 * 1024 * 1024)
    await using small = await startPostgresql({ major: 17, within: disk.path })
    await using followed = await move('full', { target: small })
    await followed.load()
    followed.follow()
    await disk.fill()
    await source.query(`INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(10000, 20000) i`, 'full')
    await expect(followed.following).rejects.toMatchObject({
      code: expect.stringMatching(/^(target\.full|connection\.(lost|refused))$/),
    })
    await disk.free()
    if (!small.running) await small.restart()
    await pollUntil('the target is back', () => small.query('SELECT 1'))
    followed.follow()
    await followed.level()
    expect(await small.query('SELECT count(*)::int AS n FROM t', 'full')).toEqual([{ n: 11_001 }])
  },
)

test('a target that gets nowhere ends in a pause of its own, and the rest comes once it works again', async () => {
  await using followed = await move('crawl')
  await followed.load()
  const { open } = followed
  const key = { move: open.move, direction: open.direction }
  await using flow = await openFollower({ open, key, patienceMs: 3_000, hopelessMs: 3_000 })
  const holder = new pg.Client({ connectionString: target.url('crawl') })
  await holder.connect()
  await holder.query(`SET replatform.mover = 'crawl'; BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE`)
  await source.query(`INSERT INTO t VALUES (5000, 'x')`, 'crawl')
  const run = flow.follower.run({
    signal: new AbortController().signal,
    report: () => {},
    throttle: async () => {},
  })
  await expect(run).rejects.toMatchObject({ code: 'target.stalled', retry: 'operator' })
  await holder.query('COMMIT')
  await holder.end()
  await flow[Symbol.asyncDispose]()
  followed.follow()
  await followed.level()
  expect(await target.query('SELECT v FROM t WHERE id = 5000', 'crawl')).toEqual([{ v: 'x' }])
})

test.skipIf(smallDiskRefusal)(
  `a full disk of the source pauses the move by name, and there is no gap once it has room (${smallDiskRefusal ?? 'as root'})`,
  async () => {
    await using disk = await createSmallDisk(400 * 1024 * 1024)
    // What a transaction is decoded to stands on the source's disk from here on.
    const settings = { logical_decoding_work_mem: '64kB', checkpoint_timeout: '1h', max_wal_size: '1GB' }
    await using small = await startPostgresql({ major: 13, within: disk.path, settings })
    await using followed = await move('brimful', { source: small })
    await followed.load()
    await small.query(
      `INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(10000, 40000) i`,
      'brimful',
    )
    await disk.fill()
    followed.follow()
    await expect(followed.following).rejects.toMatchObject({ code: 'source.full', retry: 'operator' })
    await disk.free()
    if (!small.running) await small.restart()
    followed.follow()
    await followed.level()
    expect(await target.query('SELECT count(*)::int AS n FROM t', 'brimful')).toEqual([{ n: 31_001 }])
  },
)
