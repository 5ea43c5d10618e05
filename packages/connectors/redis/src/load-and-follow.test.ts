/**
 * Goal: after load and follow the target holds what the source holds: every type, every database, every deadline, with
 * transactions whole, under a live writer and whatever commands come.
 */
import type { Mover } from '@replatform/core/connector'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startRedis } from '@replatform/testkit/redis-server'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { lowered } from './deadline.ts'
import { RedisReplyError } from './resp-reader.ts'
import { redisRoute } from './route.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'
import { anyCommand } from './test-fixtures/any-command.ts'
import { Following, loadMove, type MoveRig, moverUser, startMoveRig } from './test-fixtures/move-rig.ts'

let rig: MoveRig
let app: Connection

beforeAll(async () => {
  rig = await startMoveRig()
  app = await rig.openApp('source')
})
afterAll(() => rig[Symbol.asyncDispose]())

function moveTo(url: string): Mover {
  const sides = { source: { kind: 'redis', url: rig.urls.source }, target: { kind: 'redis', url } } as const
  const log = { info() {}, warn() {}, error() {} }
  return redisRoute.open({ move: 'newer', direction: 'forward', ...sides, tools: {}, workers: 1, log })
}

async function emptyBoth(): Promise<void> {
  await app.command('FLUSHALL')
  await using target = await rig.openAll('target')
  await target.command('FLUSHALL')
}

test('every type arrives, in its database, with its deadline and its bytes', async () => {
  await emptyBoth()
  await fillAllTypes(app)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await following.catchUp(app)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.results).toMatchObject([
    { name: 'db0', mismatched: 0, missing: 0, extra: 0 },
    { name: 'db3', mismatched: 0, missing: 0, extra: 0, matching: 3 },
  ])
  expect(report.results[0]?.matching).toBe(Number(await app.command('DBSIZE')))
  await using target = await rig.openAll('target')
  expect(String(await target.command('FCALL', 'f', 0))).toBe('1')
})

test('under a live writer in several databases, with transactions, both sides become the same', async () => {
  await emptyBoth()
  for (let i = 0; i < 5_000; i += 500) {
    await app.pipeline(Array.from({ length: 500 }, (_, k) => ['SET', `seed:${i + k}`, 'x'.repeat(100)]))
  }
  let isOver = false
  const write = async () => {
    await using writer = await rig.openApp('source')
    for (let i = 0; !isOver; i++) {
      await writer.pipeline([
        ['SELECT', i % 3],
        ['MULTI'],
        ['INCRBY', 'debit', 7],
        ['DECRBY', 'credit', 7],
        ['EXEC'],
        ['HSET', `h:${i % 50}`, `f${i}`, i],
        ['ZADD', 'z', i, `m${i % 100}`],
        ['SET', `code:${i % 200}`, i, 'PX', 50_000],
        ['EXPIRE', `code:${(i * 7) % 200}`, 90],
        ['RPUSH', 'l', i],
        ['LTRIM', 'l', -50, -1],
        ['XADD', 's', '*', 'i', i],
        ['XTRIM', 's', 'MAXLEN', 100],
        ['SPOP', 'none'],
        ['DEL', `seed:${i}`],
        ['EVAL', "redis.call('INCR', KEYS[1]) redis.call('SADD', KEYS[2], ARGV[1])", 2, 'scripted', 'set', i % 70],
      ])
    }
  }
  const writing = write()
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await using target = await rig.openAll('target')
  const torn: string[] = []
  for (let i = 0; i < 300; i++) {
    const [debit, credit] = (await target.command('MGET', 'debit', 'credit')) as Buffer[]
    if (debit && Number(String(debit)) !== -Number(String(credit))) torn.push(`${debit}/${credit}`)
  }
  expect(torn).toEqual([])
  const live = await mover.compare({ scope: 'all', at: 'live' })
  expect(live.results.map(({ mismatched, missing, extra }) => mismatched + missing + extra)).toEqual([0, 0, 0])
  const changed = await mover.compare({ scope: 'changed', at: 'live' })
  expect(changed.equal).toBe(true)
  isOver = true
  await writing
  await following.catchUp(app)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.equal, JSON.stringify(report.results)).toBe(true)
  expect((following.latest?.rows ?? 0) > 0).toBe(true)
})

/** Loads before the keys lapse, which takes longer on a busy machine. */
async function loadInTime(lapseMs = 400): Promise<Mover> {
  await emptyBoth()
  await app.command('SET', 'renewed', 'alive', 'PX', lapseMs)
  await app.command('SET', 'lapsed', 'dead soon', 'PX', lapseMs)
  const mover = rig.createMover()
  await loadMove(mover)
  if ((await app.command('EXISTS', 'renewed')) === 1) return mover
  await mover[Symbol.asyncDispose]()
  return loadInTime(lapseMs * 4)
}

test('a key that is renewed during the load does not lapse on the target', async () => {
  await using mover = await loadInTime()
  // The load has the deadline of before; the renewal waits in the stream until that is over.
  const renewedUntil = Date.now() + 120_000
  await app.command('PEXPIREAT', 'renewed', renewedUntil)
  await pollUntil('the first deadline is over', async () => (await app.command('EXISTS', 'lapsed')) === 0, {
    withinMs: 60_000,
  })
  await using following = new Following(mover)
  await following.catchUp(app)
  await using target = await rig.openAll('target')
  expect(String(await target.command('GET', 'renewed'))).toBe('alive')
  expect(lowered(Number(await target.command('PEXPIRETIME', 'renewed')))).toBe(renewedUntil)
  expect(await target.command('EXISTS', 'lapsed')).toBe(0)
})

test('FLUSHALL, FLUSHDB and SWAPDB leave checkpoint and epoch standing', async () => {
  await emptyBoth()
  await app.command('SET', 'a', 1)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  for (const command of [
    ['FLUSHALL'],
    ['SET', 'b', 2],
    ['SWAPDB', 0, 4],
    ['SET', 'c', 3],
    ['FLUSHDB'],
    ['SET', 'd', 4],
    ['SWAPDB', 5, 0],
    ['SWAPDB', 0, 5],
  ]) {
    await app.command(...(command as Argument[]))
    await following.catchUp(app)
  }
  await using target = await rig.openAll('target')
  expect(await target.command('GET', 'replatform:{cache}:forward:epoch')).not.toBeNull()
  expect(String(await target.command('GET', 'd'))).toBe('4')
  await target.command('SELECT', 4)
  expect((await target.command('KEYS', '*')) as Buffer[]).toEqual([Buffer.from('b')])
  await target.command('SELECT', 5)
  expect(await target.command('DBSIZE')).toBe(0)
})

test('a mover that was superseded writes nothing', async () => {
  await emptyBoth()
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await app.command('SET', 'before', 1)
  await following.catchUp(app)
  await using newer = rig.createMover()
  await newer.raiseEpoch()
  await app.command('SET', 'after', 1)
  await expect(following.ended).rejects.toMatchObject({ code: 'epoch.superseded' })
  await using target = await rig.openAll('target')
  expect(await target.command('EXISTS', 'before')).toBe(1)
  expect(await target.command('EXISTS', 'after')).toBe(0)
})

test.each(['redis', 'valkey'] as const)(
  'random commands of all types leave a target of %s equal to the source',
  async (engine) => {
    await emptyBoth()
    await using newer = engine === 'valkey' ? await startRedis({ engine, acl: [moverUser] }) : null
    await using mover = newer ? moveTo(newer.url('mover', 'mover-secret')) : rig.createMover()
    await loadMove(mover)
    await using following = new Following(mover)
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyCommand(['a', 'b', 'c', 'd', 'e']), { minLength: 1, maxLength: 60 }),
        async (commands) => {
          const replies = await app.pipeline(commands.flatMap(({ db, command }) => [['SELECT', db], command]))
          expect(
            replies.filter((reply) => reply instanceof RedisReplyError).map((reply) => (reply as Error).message),
          ).toSatisfy((messages: string[]) =>
            messages.every((message) => !/unknown command|syntax|wrong number/.test(message)),
          )
          await following.catchUp(app)
          const report = await mover.compare({ scope: 'all', at: 'live' })
          expect(report.equal, JSON.stringify(report.results)).toBe(true)
        },
      ),
      { numRuns: 40 },
    )
  },
)
