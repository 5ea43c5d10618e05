/**
 * Goal: whatever either cluster does while the way back runs, the old side ends with what the new one has, and what was
 * not heard is looked for where it was not heard; what would make a rollback unsafe ends it by name.
 * Method: an older cluster to go back to, a newer one with replicas to go back from, a mover in this process.
 */
import type { Log, Mover } from '@replatform/core/connector'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RedisServer } from '@replatform/testkit/redis-server'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { Argument } from './command-buffer.ts'
import { keySlot, tagOf } from './key-slot.ts'
import { readNotifications } from './notification-setting.ts'
import { Returning } from './test-fixtures/returning.ts'
import { asMover, beginSlotMove, moveSlotOf, replicasOf, takeOver, untilLedTo } from './test-fixtures/slot-changes.ts'
import { SlotClient, type SlotRig, startSlotRig } from './test-fixtures/slot-rig.ts'

// Servers that take over are waited for, also on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

let rig: SlotRig
/** As the mover's user. */
let old: SlotClient
let fresh: SlotClient
const warnings: string[] = []
const log: Log = { info() {}, warn: (fields) => void warnings.push(JSON.stringify(fields)), error() {} }

beforeAll(async () => {
  rig = await startSlotRig({
    source: { cluster: {} },
    target: { cluster: { engine: 'valkey', replicasPerShard: 1 } },
  })
})
afterAll(() => rig[Symbol.asyncDispose]())
beforeEach(async () => {
  await reopen()
  for (const server of [...old.all, ...fresh.all]) await server.command('FLUSHALL')
  warnings.length = 0
})

async function reopen(): Promise<void> {
  old = await SlotClient.open(rig.urls.source)
  fresh = await SlotClient.open(rig.urls.target)
}

/** Both sides are taken as equal where it begins. */
async function startReturn(): Promise<{ mover: Mover; returning: Returning } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const mover = stack.use(rig.createMover('reverse', rig.urls, log))
  stack.defer(() => mover.cleanUp('everything'))
  await mover.prepare({ load: false })
  await mover.markStart()
  const returning = stack.use(new Returning(mover))
  await returning.level()
  const all = stack.move()
  return { mover, returning, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function expectEqual(mover: Mover): Promise<void> {
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.equal, JSON.stringify(report.results)).toBe(true)
}

const many = (count: number, make: (i: number) => Argument[]) => Array.from({ length: count }, (_, i) => make(i))
const keyIn = (slot: number, name: string) => `{${tagOf(slot)}}${name}`

test('each type and what is large crosses by notification, to an older cluster as commands', async () => {
  await using way = await startReturn()
  const deadline = Date.now() + 3_600_000
  await fresh.pipeline([
    ...many(300, (i) => ['SET', `session:${i}`, i, 'PXAT', deadline + i]),
    ['HSET', 'hash', 'a', 1],
    ['RPUSH', 'list', ...many(900, (i) => [i]).flat()],
    ['SADD', 'set', ...many(900, (i) => [`m${i}`]).flat()],
    ['ZADD', 'zset', ...many(900, (i) => [i / 7, `m${i}`]).flat()],
    ['XADD', 'stream', '1-1', 'a', 'b'],
    ['XGROUP', 'CREATE', 'stream', 'g', '0'],
    ['SET', 'string:huge', Buffer.alloc(18 << 20, 'abc')],
    ['SET', 'braces}{and}', Buffer.alloc(18 << 20, 'abc'), 'PXAT', deadline],
  ])
  const ofEach = "'HSET', KEYS[1], 'field ' .. i, string.rep('v', 10000) .. i"
  await fresh.of('hash:huge').command('EVAL', `for i = 1, 1800 do redis.call(${ofEach}) end`, 1, 'hash:huge')
  await way.returning.level()
  await expectEqual(way.mover)
  expect(await old.command('HLEN', 'hash:huge')).toBe(1_800)
  expect(await old.command('PEXPIRETIME', 'session:7')).toBe(deadline + 7)
  expect(await old.command('PEXPIRETIME', 'braces}{and}')).toBe(deadline)
  const held = await Promise.all(old.all.map((server) => server.command('DBSIZE')))
  const own = (await Promise.all(old.all.map((server) => server.command('KEYS', 'replatform:*')))).flat()
  expect(held.map(Number).reduce((a, b) => a + b) - own.length).toBe(308)
})

test('what one server was not heard to say is looked for there, and named; a flush of one is seen', async () => {
  await using way = await startReturn()
  await fresh.pipeline(many(200, (i) => ['SET', `key:${i}`, i]))
  await way.returning.level()
  const others = fresh.all.filter((server) => server !== fresh.of('unheard'))
  const scans = () =>
    Promise.all(others.map(async (server) => callsOf('scan', await server.command('INFO', 'commandstats'))))
  const before = await scans()
  // In one step: nothing can listen again between the two.
  await fresh.of('unheard').pipeline([['MULTI'], ['CLIENT', 'KILL', 'TYPE', 'pubsub'], ['SET', 'unheard', 1], ['EXEC']])
  await pollUntil('the pass has found it', async () => (await old.command('EXISTS', 'unheard')) === 1)
  await way.returning.level()
  expect(warnings.join()).toMatch(/"slots":"\d+-\d+"/)
  expect(await scans()).toEqual(before)
  await fresh.of('key:1').command('FLUSHALL')
  await pollUntil('the flush is seen', async () => (await old.command('EXISTS', 'key:1')) === 0)
  await expectEqual(way.mover)
  const left = await fresh.pipeline(many(200, (i) => ['EXISTS', `key:${i}`]))
  expect(await old.pipeline(many(200, (i) => ['EXISTS', `key:${i}`]))).toEqual(left)
  expect(left).toContain(1)
  expect(way.returning.ends).toEqual([])
})

test('slots may move on either side; who did not notice writes nothing, and a rollback waits until they lie still', async () => {
  await using way = await startReturn()
  await fresh.pipeline(many(200, (i) => ['SET', `key:${i}`, i]))
  await way.returning.level()
  // The first slot of a part: its epoch moves with it, and the part that gets it has another from then on.
  await moveSlotOf(tagOf(0), rig.source)
  await way.returning.stop()
  await using newer = rig.createMover('reverse')
  await newer.raiseEpoch()
  await using late = new Returning(way.mover)
  await late.level()
  await using newest = rig.createMover('reverse')
  await newest.raiseEpoch()
  const inOther = keyIn(8_000, 'late')
  await fresh.command('SET', inOther, 1)
  await pollUntil('the older one is refused', () => late.failure)
  expect(late.failure).toMatchObject({ code: 'epoch.superseded' })
  await reopen()
  expect(await old.command('EXISTS', inOther)).toBe(0)

  await using returning = new Returning(newest)
  await returning.level()
  expect(await old.command('EXISTS', inOther)).toBe(1)
  const moving = keyIn(keySlot(Buffer.from('key:5')), 'written')
  const { finish } = await beginSlotMove('key:5', rig.target)
  await expect(newest.compare({ scope: 'changed', at: 'fenced' })).rejects.toMatchObject({ code: 'redis.slots-moved' })
  await finish()
  await reopen()
  await fresh.pipeline([
    ['SET', moving, 1],
    ['SET', 'key:5', 'anew'],
  ])
  await returning.level()
  await expectEqual(newest)
  expect(String(await old.command('GET', 'key:5'))).toBe('anew')
  expect(returning.failure).toBeNull()
  await returning.stop()
  await newest.cleanUp('everything')
  const left = await Promise.all(old.all.map((server) => server.command('KEYS', 'replatform:*')))
  expect(left.flat()).toEqual([])
})

test('a replica of the new side takes over: it is listened to, and keys it does not know go', async () => {
  await using way = await startReturn()
  const [primary] = rig.target as [RedisServer]
  const [replica] = replicasOf(rig, 'target')
  const key = keyIn(1, 'key')
  await fresh.pipeline([
    ['SET', key, 'kept'],
    ['SET', 'elsewhere', 1],
  ])
  await way.returning.level()
  expect(await fresh.of(key).command('WAIT', 1, 20_000)).toBe(1)
  // From here on the replica hears nothing more, and takes over without knowing what came since.
  await asMover(replica, ['CONFIG', 'SET', 'masterauth', 'wrong'])
  await asMover(primary, ['CLIENT', 'KILL', 'TYPE', 'replica'])
  await fresh.command('SET', keyIn(1, 'unknown'), 1)
  await pollUntil('it has come over', async () => (await old.command('EXISTS', keyIn(1, 'unknown'))) === 1)
  await primary.kill()
  await takeOver(replica)
  await untilLedTo(replica, primary, rig.target[1] as RedisServer)
  // The server that the address names is gone; the mover has seen others.
  fresh = await SlotClient.open((rig.target[1] as RedisServer).url('mover', 'mover-secret'))
  await fresh.command('SET', keyIn(1, 'after'), 1)
  await pollUntil('it goes on', async () => (await old.command('EXISTS', keyIn(1, 'after'))) === 1)
  await way.returning.level()
  await expectEqual(way.mover)
  expect(await old.command('EXISTS', keyIn(1, 'unknown'))).toBe(0)
  expect(String(await old.command('GET', key))).toBe('kept')
  expect(way.returning.ends.length).toBeGreaterThan(0)
  await way.returning.stop()
  await way.mover.cleanUp('stream')
  for (const server of fresh.all) expect(await readNotifications(server)).toBe('')
})

function callsOf(name: string, commandStats: unknown): number {
  return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(String(commandStats))?.[1] ?? 0)
}
