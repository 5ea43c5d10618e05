/** Goal: each finding is provoked on a real server, and a sound pair has none. */
import { startRedisCluster } from '@replatform/testkit/redis-cluster'
import { type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { expect, test } from 'vitest'
import { openConnection } from './connection.ts'
import { largeStreamFindings } from './inventory-findings.ts'
import { redisRoute } from './route.ts'
import { type MoveRig, moverUser, startMoveRig } from './test-fixtures/move-rig.ts'

const log = { info() {}, warn() {}, error() {} }

async function findingsOf(rig: MoveRig, options: { readonly asDefault?: boolean; readonly service?: string } = {}) {
  const source = { kind: 'redis', url: options.asDefault ? rig.source.url() : rig.urls.source } as const
  const target = { kind: 'redis', url: rig.urls.target, service: options.service } as const
  await using mover = redisRoute.open({ move: 'm', direction: 'forward', source, target, tools: {}, workers: 1, log })
  return (await mover.assess()).map(({ id, severity }) => `${severity} ${id}`).sort()
}

test('a sound pair has no findings, also once the move has begun', async () => {
  await using rig = await startMoveRig()
  expect(await findingsOf(rig)).toEqual([])
  await using mover = rig.createMover({ move: 'm' })
  await mover.prepare({ load: true })
  expect(await findingsOf(rig)).toEqual([])
})

test('what stands in the way is found', async () => {
  await using rig = await startMoveRig({
    source: { settings: { 'repl-backlog-size': '1mb' } },
    target: { settings: { maxmemory: '3mb', 'maxmemory-policy': 'allkeys-lru' } },
  })
  await using app = await rig.openApp('source')
  for (let i = 0; i < 60; i++) await app.command('SET', `k${i}`, 'x'.repeat(100_000))
  await using target = await rig.openApp('target')
  await target.command('SET', 'mine', 1)
  expect(await findingsOf(rig, { asDefault: true, service: 'elasticache' })).toEqual([
    'blocker redis.shared-user',
    'blocker redis.target-not-empty',
    'blocker redis.target-too-small',
    'note redis.clients',
    'note redis.keys-without-deadline',
    'note redis.memory-by-type',
    'risk redis.eviction-differs',
    'risk redis.not-fenced',
    'risk redis.small-backlog',
    'risk redis.target-evicts',
  ])
  await using mover = rig.createMover()
  await expect(mover.prepare({ load: true })).rejects.toMatchObject({ code: 'target.not-empty' })
  expect(await target.command('GET', 'mine')).not.toBeNull()
})

test('wrong password, nobody there, and what is no address', async () => {
  await using rig = await startMoveRig()
  const side = (url: string) => ({ kind: 'redis', url }) as const
  const open = (source: string) =>
    redisRoute.open({
      move: 'm',
      direction: 'forward',
      source: side(source),
      target: side(rig.urls.target),
      tools: {},
      workers: 1,
      log,
    })
  await using wrong = open(rig.source.url('mover', 'not-it'))
  await expect(wrong.prepare({ load: true })).rejects.toMatchObject({ code: 'auth.failed' })
  await using nobody = open('redis://mover:secret@127.0.0.1:1')
  await expect(nobody.prepare({ load: true })).rejects.toMatchObject({ code: 'connection.refused' })
  await using noRedis = open('http://127.0.0.1')
  await expect(noRedis.prepare({ load: true })).rejects.toMatchObject({ code: 'secret.unresolved' })
})

test('what the source holds and who uses it', async () => {
  await using rig = await startMoveRig({
    source: {
      engine: 'valkey',
      settings: { 'maxmemory-policy': 'allkeys-lfu', maxmemory: '200mb', appendonly: 'yes', 'lfu-log-factor': '0' },
    },
  })
  await using app = await rig.openApp('source')
  await app.command('CLIENT', 'SETINFO', 'LIB-NAME', 'jedis')
  await app.command('CLIENT', 'SETINFO', 'LIB-VER', '5.1.0')
  for (let i = 0; i < 30; i++) await app.command('SET', `session:${i}`, 'x'.repeat(1_000), 'EX', 600)
  for (let i = 0; i < 10; i++) await app.command('HSET', `cart:secret-${i}`, 'a', 'b')
  await app.command('SET', 'report:all', 'z'.repeat(9_000_000))
  await app.pipeline(Array.from({ length: 300 }, () => ['GET', 'session:1']))
  await app.command('CONFIG', 'GET', 'maxmemory')
  await using mover = rig.createMover({ move: 'm', service: 'elasticache' })
  const findings = new Map((await mover.assess()).map((finding) => [finding.id, finding]))
  const evidenceOf = (id: string) => findings.get(id)?.evidence.join('\n') ?? ''
  expect(evidenceOf('redis.memory-by-type')).toMatch(/string: about 31 keys, \d+ MB\nhash: about 10 keys/)
  expect(evidenceOf('redis.memory-by-type')).toContain('all of 41 keys')
  expect(evidenceOf('redis.big-keys')).toMatch(/^report…[0-9a-f]{12} \(string\): \d+(\.\d)? MB/)
  expect(evidenceOf('redis.hot-keys')).toMatch(/^session…/)
  expect(evidenceOf('redis.keys-without-deadline')).toMatch(/cart: 10 of 10\nreport: 1 of 1/)
  expect(evidenceOf('redis.eviction-differs')).toContain('source maxmemory-policy allkeys-lfu')
  expect(evidenceOf('redis.no-append-only-file')).toContain('ElastiCache has none')
  expect(evidenceOf('redis.clients')).toContain('jedis 5.1.0: 1 connections')
  expect(evidenceOf('redis.refused-commands')).toMatch(/CONFIG: \d+ calls/)
  expect(JSON.stringify([...findings])).not.toContain('secret')
})

test('scripts by text, and what a cluster cannot take', async () => {
  await using old = await startRedis({ version: '3.2' })
  await using cluster = await startRedisCluster({ acl: [moverUser] })
  await using app = await openConnection({ url: old.url(), side: 'source' })
  await app.command('EVAL', "return redis.call('SET', KEYS[1], 1)", 1, 'k')
  await app.pipeline([
    ['SELECT', 4],
    ['SET', 'elsewhere', 1],
    ['MOVE', 'elsewhere', 5],
  ])
  await using mover = redisRoute.open({
    move: 'm',
    direction: 'forward',
    source: { kind: 'redis', url: old.url() },
    target: { kind: 'redis', url: (cluster.primaries[0] as RedisServer).url('mover', 'mover-secret') },
    tools: {},
    workers: 1,
    log,
  })
  const ids = (await mover.assess()).map(({ id, severity }) => `${severity} ${id}`)
  expect(ids).toEqual(
    expect.arrayContaining([
      'blocker redis.scripts-by-text',
      'blocker redis.other-databases',
      'risk redis.refused-commands',
      'risk redis.clients',
    ]),
  )
  expect(new Set(ids).size).toBe(ids.length)
})

test('a stream that no server takes as a whole is told before the move', () => {
  const key = { name: 'audit…', kind: 'audit', hasDeadline: false, frequency: null }
  const bytes = 600 * 1024 * 1024
  const found = largeStreamFindings({ keys: [{ ...key, type: 'stream', bytes }], total: 1 })
  expect(found).toMatchObject([{ id: 'redis.large-streams', severity: 'risk' }])
  expect(largeStreamFindings({ keys: [{ ...key, type: 'hash', bytes }], total: 1 })).toEqual([])
})
