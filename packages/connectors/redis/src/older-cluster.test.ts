/**
 * Goal: a cluster that is older than users, ranges of slots and absolute deadlines in its stream moves as others do: by
 * its stream, to the second of each deadline, fenced on every server.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { startRedisCluster } from '@replatform/testkit/redis-cluster'
import type { RedisServer } from '@replatform/testkit/redis-server'
import { expect, test, vi } from 'vitest'
import type { Argument } from './command-buffer.ts'
import { openConnection } from './connection.ts'
import { redisRoute } from './route.ts'
import { cutOverMove } from './test-fixtures/cut-over.ts'
import { Following, loadMove, moverUser } from './test-fixtures/move-rig.ts'
import { SlotClient } from './test-fixtures/slot-rig.ts'

vi.setConfig({ testTimeout: 180_000 })

test('Redis 3.2 with replicas, to a cluster of Valkey', async () => {
  await using old = await startRedisCluster({
    version: '3.2',
    replicasPerShard: 1,
    settings: { 'repl-backlog-size': '16mb' },
  })
  await using fresh = await startRedisCluster({ engine: 'valkey', acl: [moverUser] })
  const side = (url: string) => ({ kind: 'redis', url }) as const
  const source = side((old.primaries[0] as RedisServer).url())
  const target = side((fresh.primaries[0] as RedisServer).url('mover', 'mover-secret'))
  const createMover = (direction = 'forward' as 'forward' | 'reverse') => {
    const [from, to] = direction === 'forward' ? [source, target] : [target, source]
    const log = { info() {}, warn() {}, error() {} }
    return redisRoute.open({ move: 'older', direction, source: from, target: to, tools: {}, workers: 1, log })
  }
  await using app = await SlotClient.open(source.url)
  await using onNew = await SlotClient.open(target.url)
  const keys = Array.from({ length: 60 }, (_, i) => `session:${i}`)
  const round = (n: number): Argument[][] => [
    ...keys.map((key) => ['SETEX', key, 900, n]),
    ['RPUSH', 'list', n],
    ['HSET', 'hash', n, n],
    ['ZADD', 'zset', n / 7, n],
  ]
  await app.pipeline(round(0))
  await using mover = createMover()
  await loadMove(mover)
  {
    await using following = new Following(mover)
    await app.pipeline(round(1))
    await app.catchUp(following)
    const report = await mover.compare({ scope: 'all', at: 'live' })
    expect(report.equal, JSON.stringify(report.results)).toBe(true)
  }
  // Told as what is left, and heard seconds later.
  const renewed = keys.slice(0, 30)
  await app.pipeline(renewed.map((key) => ['EXPIRE', key, 1_800]))
  const leftOf = (key: string) => app.command('PTTL', key).then(Number)
  await pollUntil('the mover was away for a while', async () => (await leftOf('session:0')) < 1_797_500)
  await using following = new Following(mover)
  await app.catchUp(following)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.equal, JSON.stringify(report.results)).toBe(true)
  expect(report.results.reduce((sum, { matching }) => sum + matching, 0)).toBe(keys.length + 3)

  const { error, decision } = await cutOverMove({ rig: { createMover }, mover, following, outcome: 'committed' })
  expect(error).toBeNull()
  expect(decision.outcome).toBe('committed')
  for (const server of [...old.primaries, ...old.replicas]) {
    await using client = await openConnection({ url: server.url(), side: 'source' })
    const [, count] = (await client.command('CONFIG', 'GET', 'min-slaves-to-write')) as Buffer[]
    expect(Number(String(count)), `${server.port}`).toBeGreaterThan(1_000)
  }
  for (const key of ['session:0', 'session:59']) {
    const difference = Math.abs((await leftOf(key)) - Number(await onNew.command('PTTL', key)))
    expect(difference).toBeLessThan(2_000)
  }
})
