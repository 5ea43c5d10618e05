/** Goal: every fault that is put into the target is found, and nothing else, whatever encoding a value has there. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'
import { Following, loadMove, type MoveRig, startMoveRig } from './test-fixtures/move-rig.ts'

let rig: MoveRig
let source: Connection
let target: Connection

beforeAll(async () => {
  rig = await startMoveRig({
    // Other thresholds give other encodings of the same values.
    target: {
      settings: { 'hash-max-listpack-entries': '0', 'zset-max-listpack-entries': '0', 'set-max-intset-entries': '0' },
    },
  })
  source = await rig.openAll('source')
  target = await rig.openAll('target')
})
afterAll(() => rig[Symbol.asyncDispose]())

const faults: (readonly [string, readonly Argument[], 'mismatched' | 'missing' | 'extra'])[] = [
  ['a byte of a string', ['SETRANGE', 'string:plain', 0, 'P'], 'mismatched'],
  ['a string grown', ['APPEND', 'string:plain', 'x'], 'mismatched'],
  ['a key lost', ['DEL', 'string:plain'], 'missing'],
  ['a key too many', ['SET', 'nobody', 1], 'extra'],
  ['a deadline lost', ['PERSIST', 'string:deadline'], 'mismatched'],
  ['a deadline too many', ['PEXPIREAT', 'string:plain', Date.now() + 1_000_000], 'mismatched'],
  [
    'a deadline moved by a second',
    [
      'EVAL',
      "redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', redis.call('PEXPIRETIME', KEYS[1]) + 1000))",
      1,
      'string:deadline',
    ],
    'mismatched',
  ],
  ['elements of a list swapped', ['LMOVE', 'list:small', 'list:small', 'LEFT', 'RIGHT'], 'mismatched'],
  ['a member of a set', ['SREM', 'set:large', 'member 7'], 'mismatched'],
  ['a value of a hash', ['HSET', 'hash:large', 'field 7', 'other'], 'mismatched'],
  ['a field of a hash', ['HSET', 'hash:small', 'more', ''], 'mismatched'],
  ['a score', ['ZINCRBY', 'zset:large', '0.001', 'member 7'], 'mismatched'],
  [
    'another type',
    ['EVAL', "redis.call('DEL', KEYS[1]) redis.call('SADD', KEYS[1], 'a', 'b', '17')", 1, 'list:small'],
    'mismatched',
  ],
  ['an entry of a stream', ['XDEL', 'stream', '1700000000014-2'], 'mismatched'],
  ['a pending entry', ['XACK', 'stream', 'workers', '1700000000021-0'], 'mismatched'],
  ['an owner of a pending entry', ['XCLAIM', 'stream', 'workers', 'eve', 0, '1700000000021-0'], 'mismatched'],
  ['a group', ['XGROUP', 'DESTROY', 'stream', 'late'], 'mismatched'],
]

test.each(faults)('%s', async (_name, command, kind) => {
  await source.command('FLUSHALL')
  await target.command('FLUSHALL')
  await fillAllTypes(source)
  await using mover = rig.createMover()
  await loadMove(mover)
  expect(await mover.compare({ scope: 'all', at: 'fenced' })).toMatchObject({ equal: true })
  await target.command('SELECT', 0)
  await target.command(...command)
  const report = await mover.compare({ scope: 'all', at: 'fenced' })
  const [db0, db3] = report.results
  expect({ ...db0, samples: [] }).toMatchObject({ mismatched: 0, missing: 0, extra: 0, [kind]: 1 })
  expect(db0?.samples).toHaveLength(1)
  expect(db0?.samples[0]?.key).not.toContain('plain')
  expect(db3).toMatchObject({ matching: 3, mismatched: 0 })
})

test('rebuilt in another order and encoding a value is still the same', async () => {
  await source.command('FLUSHALL')
  await target.command('FLUSHALL')
  await fillAllTypes(source)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await following.catchUp(source)
  await target.command('SELECT', 0)
  for (const [key, read, write] of [
    ['hash:small', 'HGETALL', 'HSET'],
    ['set:small', 'SMEMBERS', 'SADD'],
    ['set:int16', 'SMEMBERS', 'SADD'],
  ] as const) {
    const elements = (await target.command(read, key)) as Buffer[]
    const size = read === 'HGETALL' ? 2 : 1
    await target.command('DEL', key)
    for (let at = elements.length - size; at >= 0; at -= size)
      await target.command(write, key, ...elements.slice(at, at + size))
  }
  expect((await mover.compare({ scope: 'all', at: 'live' })).equal).toBe(true)
  await source.command('SET', 'string:plain', 'changed')
  await target.command('SET', 'string:empty', 'found only by a full comparison')
  await following.catchUp(source)
  expect(await mover.compare({ scope: 'changed', at: 'live' })).toMatchObject({
    equal: true,
    results: [{ matching: 1 }],
  })
  expect((await mover.compare({ scope: 'all', at: 'live' })).equal).toBe(false)
})

test('a value too large to be held is compared in pieces', async () => {
  await source.command('FLUSHALL')
  await target.command('FLUSHALL')
  const piece = 'z'.repeat(1000)
  for (let i = 0; i < 24; i++) {
    await source.pipeline([
      ['APPEND', 'big:string', `${i}${piece.repeat(1000)}`],
      ...Array.from({ length: 1000 }, (_, k) => ['HSET', 'big:hash', `f${i}:${k}`, `${piece}${k}`]),
    ])
  }
  await source.command('PEXPIRE', 'big:hash', 900_000)
  await using mover = rig.createMover()
  await loadMove(mover)
  expect(await mover.compare({ scope: 'all', at: 'fenced' })).toMatchObject({ equal: true, results: [{ matching: 2 }] })
  await target.command('SELECT', 0)
  await target.command('HSET', 'big:hash', 'f7:7', 'other')
  await target.command('SETRANGE', 'big:string', 20_000_000, '!')
  expect(await mover.compare({ scope: 'all', at: 'fenced' })).toMatchObject({ results: [{ mismatched: 2 }] })
})
