/**
 * Goal: sources from 2.8 on arrive as they are: what they write in their own encodings, replicate with relative
 * deadlines and resume by the older handshake.
 * Method: real 3.2, 5.0 and 6.2; of what only 2.8 wrote, the bytes, given to a real 7.0.
 */
import { startRedis } from '@replatform/testkit/redis-server'
import { expect, test } from 'vitest'
import type { Argument } from './command-buffer.ts'
import { openConnection } from './connection.ts'
import { Crc64 } from './crc64.ts'
import { decodeValue } from './rdb-elements.ts'
import { valueType } from './rdb-format.ts'
import { redisRoute } from './route.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'
import { Following, loadMove, moverUser } from './test-fixtures/move-rig.ts'

test.each(['3.2', '5.0', '6.2'] as const)('Redis %s', async (version) => {
  await using source = await startRedis({ version, settings: { 'repl-backlog-size': '16mb' } })
  await using target = await startRedis({ acl: [moverUser], engine: version === '5.0' ? 'valkey' : 'redis' })
  await using mover = redisRoute.open({
    move: 'm',
    direction: 'forward',
    source: { kind: 'redis', url: source.url() },
    target: { kind: 'redis', url: target.url('mover', 'mover-secret') },
    tools: {},
    workers: 1,
    log: { info() {}, warn() {}, error() {} },
  })
  await using app = await openConnection({ url: source.url(), side: 'source' })
  await fillAllTypes(app, Number(version))
  await app.pipeline(Array.from({ length: 200 }, (_, i) => ['SET', `session:${i}`, i, 'PX', 600_000]))
  await loadMove(mover)
  {
    await using following = new Following(mover)
    for (let i = 0; i < 40; i++) await app.pipeline(round(i, Number(version)))
    await following.catchUp(app)
    const report = await mover.compare({ scope: 'all', at: 'live' })
    expect(report.equal, JSON.stringify(report.results)).toBe(true)
  }
  for (let i = 40; i < 80; i++) await app.pipeline(round(i, Number(version)))
  await using again = new Following(mover)
  await again.catchUp(app)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.equal, JSON.stringify(report.results)).toBe(true)
  expect(report.results[0]?.matching).toBe(Number(await app.command('DBSIZE')))
  await using all = await openConnection({ url: target.url('mover', 'mover-secret'), side: 'target' })
  expect(String(await all.command('GET', 'n'))).toBe('80')
  if (Number(version) >= 5) return
  await app.command('EVAL', "return redis.call('SET', KEYS[1], 1)", 1, 'by text')
  await expect(again.ended).rejects.toMatchObject({ code: 'redis.unknown-command' })
  expect(await all.command('EXISTS', 'by text')).toBe(0)
})

function round(i: number, version: number): Argument[][] {
  return [
    ['MULTI'],
    ['INCR', 'n'],
    ['RPUSH', 'l', i],
    ['EXEC'],
    ['SETEX', `code:${i}`, 500, i],
    ['PSETEX', `code:p:${i}`, 500_000, i],
    ['EXPIRE', `session:${i}`, 900],
    ['PEXPIRE', `session:${i + 100}`, 900_000],
    ['EXPIREAT', `session:${i + 50}`, 2_000_000_000],
    ['SADD', 's', i, `m${i % 7}`],
    ['SPOP', 's'],
    ['INCRBYFLOAT', 'f', '0.1'],
    ['HINCRBYFLOAT', 'h', 'f', '0.1'],
    ['ZADD', 'z', i, `m${i % 9}`],
    ['SELECT', 2],
    ['SET', `other:${i}`, i, 'EX', 700],
    ['SELECT', 0],
    ['EVAL', "redis.replicate_commands() redis.call('SET', KEYS[1], redis.call('TIME')[1])", 1, 'scripted'],
    ...(version >= 5 ? [['XADD', 'x', 'MAXLEN', '~', 20, '*', 'i', i] as Argument[]] : []),
  ]
}

const forms: (readonly [string, number, Buffer, readonly Argument[], readonly unknown[]])[] = [
  [
    'a hash as zipmap',
    valueType.hashZipmap,
    text(Buffer.from([2, 1, 0x61, 1, 0, 0x62, 3, 0x63, 0x63, 0x63, 2, 1, 0x64, 0x65, 0x78, 0xff])),
    ['HGETALL', 'k'],
    ['a', 'b', 'ccc', 'de'],
  ],
  ['a list as nodes', valueType.list, Buffer.from([2, 1, 0x61, 2, 0x62, 0x63]), ['LRANGE', 'k', 0, -1], ['a', 'bc']],
  [
    'a list as ziplist',
    valueType.listZiplist,
    text(Buffer.from([15, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0xf6, 2, 0xf3, 0xff])),
    ['LRANGE', 'k', 0, -1],
    ['5', '2'],
  ],
  [
    'a sorted set with scores as text',
    valueType.zset,
    Buffer.from([2, 1, 0x61, 3, 0x31, 0x2e, 0x35, 1, 0x62, 254]),
    ['ZRANGE', 'k', 0, -1, 'WITHSCORES'],
    ['a', '1.5', 'b', 'inf'],
  ],
]

test.each(forms)('what 2.8 wrote: %s', async (_name, type, value, read, expected) => {
  await using server = await startRedis({})
  await using connection = await openConnection({ url: server.url(), side: 'target' })
  await connection.command('RESTORE', 'k', 0, sealed(type, value, 6))
  const found = ((await connection.command(...read)) as Buffer[]).map(String)
  expect(found).toEqual(expected)
  const decoded = decodeValue(type, value)
  const elements = decoded.kind === 'stream' ? [] : decoded.elements.map(String)
  const inOrder = type === valueType.zset ? ['1.5', 'a', 'inf', 'b'] : expected
  expect(elements).toEqual(inOrder)
})

function text(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

function sealed(type: number, value: Buffer, version: number): Buffer {
  const payload = Buffer.concat([Buffer.of(type), value, Buffer.of(version, 0), Buffer.alloc(8)])
  const crc = new Crc64()
  crc.update(payload, 0, payload.length - 8)
  crc.writeTo(payload, payload.length - 8)
  return payload
}
