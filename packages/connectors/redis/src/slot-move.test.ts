/**
 * Goal: a move between clusters, into one and out of one ends with every key on the right server of the target, under a
 * live writer, whatever slots a command reaches over.
 */

import { expect, test } from 'vitest'
import type { Argument } from './command-buffer.ts'
import { Following, loadMove } from './test-fixtures/move-rig.ts'
import { SlotClient, startSlotRig } from './test-fixtures/slot-rig.ts'

const forms = [
  ['one server to a cluster', { source: { server: {} }, target: { cluster: { engine: 'valkey' } } }],
  ['a cluster to a larger one', { source: { cluster: {} }, target: { cluster: { shards: 4 } } }],
  ['a cluster to one server', { source: { cluster: { engine: 'valkey' } }, target: { server: { engine: 'valkey' } } }],
] as const

test.each(forms)('%s, under a live writer', async (_name, options) => {
  await using rig = await startSlotRig(options)
  await using app = await SlotClient.open(rig.urls.source)
  await fill(app)
  await using mover = rig.createMover()
  let isOver = false
  const write = async () => {
    await using writer = await SlotClient.open(rig.urls.source)
    for (let i = 0; !isOver; i++) await writer.pipeline(round(i))
  }
  const writing = write().catch((thrown) => thrown)
  await loadMove(mover)
  await using following = new Following(mover)
  await app.catchUp(following)
  const live = await mover.compare({ scope: 'all', at: 'live' })
  expect(live.equal, JSON.stringify(live.results)).toBe(true)
  expect((await mover.compare({ scope: 'changed', at: 'live' })).equal).toBe(true)
  isOver = true
  expect(await writing).toBeUndefined()
  await app.catchUp(following)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.equal, JSON.stringify(report.results)).toBe(true)
  expect(sum(report.results.map(({ matching }) => matching))).toBe(await countKeys(app))
  await using target = await SlotClient.open(rig.urls.target)
  expect(Number(await target.of('f').command('FCALL', 'f', 0))).toBe(1)
})

test('commands that reach over slots, and transactions, arrive from one server as what they did', async () => {
  await using rig = await startSlotRig(forms[0][1])
  await using app = await SlotClient.open(rig.urls.source)
  const [source] = app.all as [(typeof app.all)[number]]
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  for (const command of acrossSlots) await source.command(...command)
  await source.pipeline([['MULTI'], ...acrossSlots, ['EXEC']])
  await source.pipeline([['MULTI'], ['INCR', 'n:1'], ['RENAME', 'set:c', 'set:e'], ['INCR', 'n:2'], ['EXEC']])
  await source.command('RPUSH', 'long', ...Array.from({ length: 20_000 }, (_, i) => i))
  await source.command('ZADD', 'long:z', 'NX', ...Array.from({ length: 9_000 }, (_, i) => [i, `m${i}`]).flat())
  await app.catchUp(following)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.equal, JSON.stringify(report.results)).toBe(true)
  expect(report.results[0]?.matching).toBe(Number(await source.command('DBSIZE')))
  await source.command('FLUSHALL')
  await source.command('SET', 'after', 1)
  await app.catchUp(following)
  expect(await mover.compare({ scope: 'all', at: 'live' })).toMatchObject({ results: [{ matching: 1, extra: 0 }] })
  // Our own keys are still there: it goes on behind them.
  await following.stop()
  await source.command('INCR', 'after')
  await using again = new Following(mover)
  await app.catchUp(again)
  await using target = await SlotClient.open(rig.urls.target)
  expect(String(await target.command('GET', 'after'))).toBe('2')
  await source.pipeline([
    ['SELECT', 1],
    ['SET', 'elsewhere', 1],
  ])
  await expect(again.ended).rejects.toMatchObject({ code: 'redis.database-in-cluster' })
})

const acrossSlots: Argument[][] = [
  ['MSET', 'a', 1, 'b', 2, 'c', 3, 'd', 4],
  ['SET', 'n:1', 5],
  ['RPUSH', 'list:a', 1, 2, 3, 4],
  ['SADD', 'set:a', 'x', 'y', 'z'],
  ['SADD', 'set:b', 'y', 'z'],
  ['ZADD', 'z:a', 1, 'x', 2, 'y'],
  ['ZADD', 'z:b', 5, 'y', 6, 'q'],
  ['SET', 'held', 'kept', 'PX', 500_000],
  ['RENAME', 'held', 'moved'],
  ['COPY', 'moved', 'copied', 'REPLACE'],
  ['RPOPLPUSH', 'list:a', 'list:b'],
  ['LMOVE', 'list:a', 'list:c', 'LEFT', 'LEFT'],
  ['SMOVE', 'set:a', 'set:d', 'x'],
  ['SUNIONSTORE', 'set:c', 'set:a', 'set:b'],
  ['SINTERSTORE', 'set:f', 'set:a', 'set:b'],
  ['ZUNIONSTORE', 'z:c', 2, 'z:a', 'z:b', 'WEIGHTS', 2, 3],
  ['ZRANGESTORE', 'z:d', 'z:a', 0, 0],
  ['BITOP', 'OR', 'bits', 'a', 'b', 'nobody'],
  ['PFADD', 'p:a', 1, 2, 3],
  ['PFADD', 'p:b', 3, 4],
  ['PFMERGE', 'p:c', 'p:a', 'p:b'],
  ['SORT', 'list:a', 'STORE', 'sorted'],
  ['GEOADD', 'g:a', '105.8', '21.0', 'Ha Noi'],
  ['GEOSEARCHSTORE', 'g:b', 'g:a', 'FROMMEMBER', 'Ha Noi', 'BYRADIUS', 10, 'km'],
  ['EVAL', "redis.call('SET', KEYS[1], 1) redis.call('RENAME', KEYS[2], KEYS[3])", 3, 'q', 'c', 'w'],
  ['DEL', 'a', 'b', 'nobody'],
  ['UNLINK', 'd', 'q'],
]

async function fill(app: SlotClient): Promise<void> {
  for (let i = 0; i < 6_000; i += 500) {
    await app.pipeline(Array.from({ length: 500 }, (_, k) => ['SET', `seed:${i + k}`, 'x'.repeat(80)]))
  }
  for (const connection of app.all) {
    await connection.command(
      'FUNCTION',
      'LOAD',
      "#!lua name=lib\nredis.register_function('f', function() return 1 end)",
    )
  }
  await app.pipeline([
    ['HSET', 'hash', 'a', 'b'],
    ['XADD', 'stream', '1-1', 'a', 'b'],
    ['XGROUP', 'CREATE', 'stream', 'workers', '0'],
    ['SET', 'deadline', 1, 'PX', 400_000],
  ])
}

function round(i: number): Argument[][] {
  return [
    ['INCR', `n:${i % 97}`],
    ['HSET', `h:${i % 50}`, `f${i}`, i],
    ['RPUSH', `l:${i % 7}`, i],
    ['LTRIM', `l:${i % 7}`, -50, -1],
    ['SET', `code:${i % 300}`, i, 'PX', 50_000],
    ['EXPIRE', `code:${(i * 7) % 300}`, 90],
    ['ZADD', `z:${i % 5}`, i, `m${i % 100}`],
    ['DEL', `seed:${i}`],
    ['XADD', 'stream', '*', 'i', i],
  ]
}

async function countKeys(app: SlotClient): Promise<number> {
  return sum((await Promise.all(app.all.map((connection) => connection.command('DBSIZE')))).map(Number))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
