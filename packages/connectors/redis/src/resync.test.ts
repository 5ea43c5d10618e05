/**
 * Goal: the way back from a new side that is newer than the old one and is followed by its notifications alone: over,
 * back and over again under live writers, with every acknowledged write once on the side that is open and deadlines to
 * the millisecond; and what no notification tells is found before a rollback ends.
 * Method: a real mover process and the engine's own coordinator, Redis 7.0 against Valkey 8.
 */
import type { Mover } from '@replatform/core/connector'
import type { MoveState } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import { flipSides } from '@replatform/testkit/flip-sides'
import type { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import { forgetTurns, unfenceSide } from './fence.ts'
import { readNotifications } from './notification-setting.ts'
import { redisRoute } from './route.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'
import { Following, type MoveRig, startMoveRig } from './test-fixtures/move-rig.ts'
import { RoamingWriter } from './test-fixtures/roaming-writer.ts'
import { startMover } from './test-fixtures/start-mover.ts'

const log = { info() {}, warn() {}, error() {} }
const nowhere = { position: position('everything'), at: '' }
let rig: MoveRig

beforeAll(async () => {
  rig = await startMoveRig({ target: { engine: 'valkey' } })
})
afterAll(() => rig[Symbol.asyncDispose]())

function run(mover: TestMover, direction: 'forward' | 'reverse', state: MoveState): void {
  mover.events.length = 0
  mover.client.call('run', { direction, state }).catch(() => {})
}

const level = (mover: TestMover) => mover.waitFor((e) => e.event === 'follow' && e.progress.lagMs < 1_000)

async function flip(mover: TestMover, direction: 'forward' | 'reverse') {
  const outcome = await flipSides({ mover, direction, budgetMs: 30_000 })
  expect(outcome.error).toBeNull()
  expect(outcome.decision.outcome).toBe('committed')
  run(mover, direction === 'forward' ? 'reverse' : 'forward', direction === 'forward' ? 'reversing' : 'rolled-back')
  await level(mover)
  return outcome
}

test('over, back and over again under live writers', async () => {
  await using mover = await startMover('roaming', rig.urls)
  const writers = ['a', 'b', 'c'].map((name) => new RoamingWriter(name, (side) => rig.openApp(side)))
  await pollUntil('writes flow', () => writers.every(({ pushed }) => pushed.length > 50))
  run(mover, 'forward', 'planned')
  await level(mover)
  for (const direction of ['forward', 'reverse', 'forward', 'reverse'] as const) {
    const before = writers.map(({ pushed }) => pushed.length)
    await flip(mover, direction)
    await pollUntil('writes flow again', () => writers.every(({ pushed }, n) => pushed.length > (before[n] ?? 0) + 50))
  }
  for (const writer of writers) await writer[Symbol.asyncDispose]()
  await using old = await rig.openAll('source')
  for (const writer of writers) await writer.expectAllOn(old)
}, 120_000)

test('every type crosses by notification alone, to an older side as commands, with its deadline', async () => {
  await using way = await startReturn()
  await fillAllTypes(way.fresh)
  await fillLarge(way.fresh)
  await way.fresh.command('SET', 'gone', 1)
  await way.fresh.command('DEL', 'gone')
  await way.level()
  const report = await way.mover.compare({ scope: 'all', at: 'live' })
  expect(report.results).toMatchObject([
    { name: 'db0', mismatched: 0, missing: 0, extra: 0 },
    { name: 'db3', mismatched: 0, missing: 0, extra: 0, matching: 3 },
  ])
  expect(report.results[0]?.matching).toBeGreaterThan(30)
  expect(await way.old.command('HLEN', 'hash:huge')).toBe(1_800)
  expect(await way.old.command('PEXPIRETIME', 'string:deadline')).toBe(
    await way.fresh.command('PEXPIRETIME', 'string:deadline'),
  )
  expect(await way.old.command('EXISTS', 'gone')).toBe(0)
})

test('what no notification tells is found and repaired before a rollback ends', async () => {
  await using way = await startReturn()
  for (let db = 0; db < 2; db++) {
    await way.fresh.command('SELECT', db)
    for (let n = 0; n < 300; n++) await way.fresh.command('SET', `key:${n}`, `${db}`, 'PX', 600_000)
  }
  await way.level()
  await way.fresh.command('SWAPDB', 0, 1)
  await way.fresh.command('SELECT', 2)
  await way.fresh.command('SET', 'only', 'here')
  await way.level()
  await way.fresh.command('FLUSHDB')
  await way.stop()
  await way.old.command('SELECT', 0)
  await way.old.command('SET', 'nobody', 'knows')
  await way.mover.fence('source', { withinMs: 5_000, turn: 1 })
  await way.mover.fence('target', { withinMs: 5_000, turn: 1 })
  await way.mover.raiseEpoch()
  const repaired = await way.mover.compare({ scope: 'changed', at: 'fenced' })
  expect(repaired.equal).toBe(true)
  // Of what was flushed and swapped the follower may have found some or all by then.
  expect(repaired.results.reduce((sum, { repaired = 0 }) => sum + repaired, 0)).toBeGreaterThan(0)
  await way.mover.settle()
  expect((await way.mover.compare({ scope: 'all', at: 'fenced' })).results).toMatchObject([
    { name: 'db0', matching: 300 },
    { name: 'db1', matching: 300 },
  ])
  expect(String(await way.old.command('GET', 'key:1'))).toBe('1')
})

test('when notifications broke off everything is looked at, by the next process too', async () => {
  await using way = await startReturn()
  // In one step: nothing can listen again between the two.
  await way.fresh.pipeline([['MULTI'], ['CLIENT', 'KILL', 'TYPE', 'pubsub'], ['SET', 'unheard', 1], ['EXEC']])
  await pollUntil('the pass has found it', async () => (await way.old.command('EXISTS', 'unheard')) === 1)
  await way.fresh.command('SET', 'heard', 1)
  await pollUntil('events come again', async () => (await way.old.command('EXISTS', 'heard')) === 1)
  await way.stop()
  await way.fresh.command('SET', 'meanwhile', 1)
  await using other = way.createMover()
  await using again = new Following(other)
  await pollUntil('the other has found it', async () => (await way.old.command('EXISTS', 'meanwhile')) === 1)
  await again.stop()
})

test('a return that another mover took over writes nothing any more', async () => {
  await using way = await startReturn()
  await using other = way.createMover()
  await other.raiseEpoch()
  await way.fresh.command('SET', 'late', 1)
  await expect(way.ended).rejects.toMatchObject({ code: 'epoch.superseded' })
  expect(await way.old.command('EXISTS', 'late')).toBe(0)
})

test('a managed side that is written behind the barrier is not gone back from', async () => {
  await using way = await startReturn()
  await way.stop()
  await using mover = way.createMover('elasticache')
  await way.fresh.command('SET', 'a', 1)
  await mover.fence('target', { withinMs: 5_000, turn: 1 })
  await mover.barrier()
  await mover.raiseEpoch()
  expect((await mover.compare({ scope: 'changed', at: 'fenced' })).equal).toBe(true)
  await way.fresh.command('GET', 'a')
  await mover.settle()
  await way.fresh.command('EVAL', "return redis.call('SET', 'b', 2)", 0)
  await expect(mover.settle()).rejects.toMatchObject({ code: 'redis.fence-lifted' })
})

test('notifications are switched on for the way back and put back as they were', async () => {
  await using way = await startReturn()
  await way.stop()
  expect(await readNotifications(way.fresh)).toContain('A')
  await way.mover.cleanUp('stream')
  expect(await readNotifications(way.fresh)).toBe('')
  await way.mover.cleanUp('everything')
  expect(await way.old.command('KEYS', 'replatform:*')).toEqual([])
})

/** Above what is held whole, of each type. */
async function fillLarge(side: Connection): Promise<void> {
  const ofEach = [
    "'HSET', 'hash:huge', 'field ' .. i, string.rep('v', 10000) .. i",
    "'RPUSH', 'list:huge', string.rep('l', 10000) .. i",
    "'SADD', 'set:huge', string.rep('s', 10000) .. i",
    "'ZADD', 'zset:huge', i / 7, string.rep('z', 10000) .. i",
  ]
  for (const command of ofEach) {
    await side.command('EVAL', `for i = 1, 1800 do redis.call(${command}) end`, 0)
  }
  await side.command('SET', 'string:huge', Buffer.alloc(20 << 20, 'abc'))
}

interface Return extends AsyncDisposable {
  readonly mover: Mover
  /** As the mover's user. */
  readonly old: Connection
  readonly fresh: Connection
  /** Of following. */
  readonly ended: Promise<void>
  createMover(service?: string): Mover
  /** Until everything that is known is copied. */
  level(): Promise<void>
  stop(): Promise<void>
}

/** Both sides empty, and a mover in this process that follows the new one back. */
async function startReturn(): Promise<Return> {
  await using stack = new AsyncDisposableStack()
  const old = stack.use(await rig.openAll('source'))
  const fresh = stack.use(await rig.openAll('target'))
  for (const side of [old, fresh]) {
    await unfenceSide({ connection: side, move: 'back', turn: 9, log })
    await forgetTurns({ connection: side, move: 'back', log })
    await side.command('FLUSHALL')
  }
  await fresh.command('CONFIG', 'SET', 'notify-keyspace-events', '')
  const createMover = (service?: string) =>
    redisRoute.open({
      move: 'back',
      direction: 'reverse',
      source: { kind: 'redis', url: rig.urls.target, service },
      target: { kind: 'redis', url: rig.urls.source },
      tools: {},
      workers: 1,
      log,
    })
  const mover = stack.use(createMover())
  await mover.prepare({ load: false })
  await mover.markStart()
  const following = stack.use(new Following(mover))
  await pollUntil('it follows', () => following.latest)
  const all = stack.move()
  return {
    mover,
    old,
    fresh,
    ended: following.ended,
    createMover,
    async level() {
      await pollUntil('the way back is level', async () => {
        await fresh.command('PING')
        const { remaining, ended } = { remaining: await mover.remaining(nowhere), ended: following.ended }
        await Promise.race([ended, Promise.resolve()])
        return remaining.count === 0 && (following.latest?.lagMs ?? 1_000) < 1_000
      })
    },
    stop: () => following.stop(),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}
