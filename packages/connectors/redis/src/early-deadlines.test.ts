/**
 * Goal: the pause settles what is near its deadline or was written since, and not every key; and whatever becomes of
 * the pause, no key lives longer or shorter on the target than on its source.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { startRedis } from '@replatform/testkit/redis-server'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Connection, openConnection } from './connection.ts'
import { controlKeys } from './control-keys.ts'
import { lift, lifted, lowered } from './deadline.ts'
import { EarlyDeadlines } from './early-deadlines.ts'
import { redisRoute } from './route.ts'
import { readNowMs } from './server-clock.ts'
import { Following, loadMove, type MoveRig, moverUser, startMoveRig } from './test-fixtures/move-rig.ts'

const far = Array.from({ length: 3_000 }, (_, i) => `far:${i}`)
const near = Array.from({ length: 50 }, (_, i) => `near:${i}`)
const { checkpoint } = controlKeys({ move: 'cache', direction: 'forward' })
const log = { info() {}, warn() {}, error() {} }

let rig: MoveRig
let app: Connection
let target: Connection

beforeAll(async () => {
  rig = await startMoveRig()
  app = await rig.openAll('source')
  target = await rig.openAll('target')
})
afterAll(() => rig[Symbol.asyncDispose]())

beforeEach(async () => {
  await using all = await rig.openAll('source')
  await all.command('FLUSHALL')
  await target.command('FLUSHALL')
  await app.pipeline(far.map((key) => ['SET', key, 'kept', 'PX', 3_600_000]))
  // Within the horizon of a pause of 10 s, and beyond what a test takes.
  await app.pipeline(near.map((key) => ['HSET', key, 'f', 'kept']))
  await app.pipeline(near.map((key) => ['PEXPIRE', key, 60_000]))
})

const pauseMs = 10_000

/** A source that nobody has written to since its first replica came is at 0, where a target is that does not follow yet. */
async function catchUp(following: Following): Promise<void> {
  await app.command('PEXPIRE', 'far:0', 3_600_000)
  await following.catchUp(app)
}

async function deadlinesOf(on: Connection, keys: readonly string[]): Promise<number[]> {
  return (await on.pipeline(keys.map((key) => ['PEXPIRETIME', key]))).map(Number)
}

async function scansOf(on: Connection): Promise<number> {
  return Number(/cmdstat_scan:calls=(\d+)/.exec(String(await on.command('INFO', 'commandstats')))?.[1] ?? 0)
}

test('what is far is settled ahead, what is renewed, written or near in the pause, and nothing else is looked at', async () => {
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await catchUp(following)
  await mover.settleAhead({ pauseMs })
  expect(await deadlinesOf(target, far)).toEqual(await deadlinesOf(app, far))
  expect((await deadlinesOf(target, near)).every((at) => at >= lift)).toBe(true)

  await app.pipeline([
    ['PEXPIRE', 'far:1', 7_200_000],
    ['SET', 'far:2', 'shorter', 'PX', 50_000],
    ['PERSIST', 'far:3'],
    ['SELECT', 3],
    ['SET', 'written', 'since', 'PX', 900_000],
    ['SELECT', 0],
  ])
  await following.catchUp(app)
  expect((await deadlinesOf(target, ['far:1', 'far:2'])).every((at) => at >= lift)).toBe(true)
  await following.stop()
  await mover.fence('source', { withinMs: 5_000, turn: 1 })
  await mover.raiseEpoch()
  const before = await scansOf(target)
  await mover.settle()
  expect(await scansOf(target)).toBe(before)
  const keys = [...far, ...near]
  expect(await deadlinesOf(target, keys)).toEqual(await deadlinesOf(app, keys))
  expect((await mover.compare({ scope: 'all', at: 'fenced' })).equal).toBe(true)
  await target.command('SELECT', 3)
  expect((await deadlinesOf(target, ['written']))[0]).toBeLessThan(lift)
  await target.command('SELECT', 0)
  await mover.unfence('source', { turn: 1 })
})

test('a key that is renewed at the end of its life while it is settled ahead stays', async () => {
  await using mover = rig.createMover()
  await loadMove(mover)
  let mayApply = Promise.withResolvers<void>()
  mayApply.resolve()
  await using following = new Following(mover, () => mayApply.promise)
  await app.command('SET', 'code', 'kept', 'PX', 4_000)
  await following.catchUp(app)
  await mover.settleAhead({ pauseMs })
  mayApply = Promise.withResolvers()
  const [first] = (await deadlinesOf(app, ['code'])) as [number]
  const renewed = await app.command('PEXPIRE', 'code', 600_000)
  const [until] = await deadlinesOf(app, ['code'])
  // Its first deadline passes on the target before the renewal is there.
  await pollUntil('the first deadline is over', async () => (await readNowMs(target)) > first)
  mayApply.resolve()
  await following.catchUp(app)
  expect(renewed).toBe(1)
  expect(String(await target.command('GET', 'code'))).toBe('kept')
  expect((await deadlinesOf(target, ['code'])).map(lowered)).toEqual([until])
})

test('another follower lifts again what was settled ahead', async () => {
  await using mover = rig.createMover()
  await loadMove(mover)
  {
    await using following = new Following(mover)
    await catchUp(following)
    await mover.settleAhead({ pauseMs })
  }
  await using again = new Following(mover)
  await catchUp(again)
  expect((await deadlinesOf(target, far)).every((at) => at >= lift)).toBe(true)
  expect(await target.command('HMGET', checkpoint, 'ahead', 'lapsed')).toEqual([null, null])
})

test('what lapsed because nobody lifted it in time comes back', async () => {
  await using mover = rig.createMover()
  await loadMove(mover)
  {
    await using following = new Following(mover)
    await catchUp(following)
    await mover.settleAhead({ pauseMs })
  }
  // As though the mover had been away for an hour, in which the source renewed the key.
  await target.pipeline([
    ['HSET', checkpoint, 'ahead', 1],
    ['DEL', 'far:1'],
  ])
  await using again = new Following(mover)
  await catchUp(again)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.results).toMatchObject([{ matching: far.length + near.length, missing: 0, mismatched: 0 }])
  expect((await deadlinesOf(target, far)).every((at) => at >= lift)).toBe(true)
})

test('where the pause does not come all are lifted again while the follower runs', async () => {
  await target.command('SET', 'epoch', 1)
  await target.pipeline(far.map((key) => ['SET', key, 1, 'PXAT', lifted(Date.now() + 3_600_000)]))
  const early = new EarlyDeadlines(log)
  const part = { target, keys: { epoch: 'epoch' }, epoch: 1, checkpoints: ['checkpoint'], holds: () => true }
  await early.begin((work) => work(part), { pauseMs, horizonMs: 200 })
  await pollUntil('all are lifted', async () => (await target.command('EXISTS', 'checkpoint')) === 0)
  expect((await deadlinesOf(target, far)).every((at) => at >= lift)).toBe(true)
  expect(early.noted.list()).toBeNull()

  // A mover that was replaced changes nothing.
  await early.begin((work) => work(part), { pauseMs, horizonMs: 7_200_000 })
  await early.end()
  await target.command('INCR', 'epoch')
  await expect(early.settle((work) => work(part))).rejects.toMatchObject({ code: 'epoch.superseded' })
  expect((await deadlinesOf(target, far)).every((at) => at >= lift)).toBe(true)
  await expect(early.begin((work) => work(part), { pauseMs })).rejects.toMatchObject({ code: 'epoch.superseded' })
})

test('a deadline that a source before 7.0 renewed while the mover was away is the source’s', async () => {
  await using old = await startRedis({ version: '6.2', settings: { 'repl-backlog-size': '16mb' } })
  await using fresh = await startRedis({ acl: [moverUser] })
  await using mover = redisRoute.open({
    move: 'cache',
    direction: 'forward',
    source: { kind: 'redis', url: old.url() },
    target: { kind: 'redis', url: fresh.url('mover', 'mover-secret') },
    tools: {},
    workers: 1,
    log,
  })
  await using onOld = await openConnection({ url: old.url(), side: 'source' })
  await onOld.pipeline(['renewed', 'left'].map((key) => ['SET', key, 'kept', 'PX', 600_000]))
  await loadMove(mover)
  {
    await using following = new Following(mover)
    await following.catchUp(onOld)
  }
  await onOld.command('PEXPIRE', 'renewed', 900_000)
  await onOld.command('SETEX', 'new', 900, 'kept')
  await pollUntil(
    'the mover was away for a while',
    async () => Number(await onOld.command('PTTL', 'renewed')) < 897_000,
  )
  await using again = new Following(mover)
  await again.catchUp(onOld)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.results).toMatchObject([{ matching: 3, mismatched: 0 }])
  await using onFresh = await openConnection({ url: fresh.url('mover', 'mover-secret'), side: 'target' })
  expect(await onFresh.command('HGET', checkpoint, 'lapsed')).toBeNull()
})
