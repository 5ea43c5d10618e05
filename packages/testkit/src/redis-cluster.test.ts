import { createCluster } from '@redis/client'
import { expect, test } from 'vitest'
import { startRedisCluster } from './redis-cluster.ts'

test.each(['redis', 'valkey'] as const)(
  'a %s cluster takes keys of every shard, and each replica has its own',
  async (engine) => {
    await using cluster = await startRedisCluster({ engine, replicasPerShard: 1, tls: engine === 'valkey' })
    const [first] = cluster.primaries
    const socket = first?.authority ? ({ tls: true, ca: first.authority } as const) : {}
    const client = createCluster({
      rootNodes: cluster.urls.map((url) => ({ url })),
      defaults: { password: String(first?.password), socket },
    })
    client.on('error', () => {})
    await client.connect()
    const keys = Array.from({ length: 60 }, (_, index) => `session:${index}`)
    await Promise.all(keys.map((key) => client.set(key, 'open')))
    client.destroy()

    const held = await Promise.all(cluster.primaries.map(async (server) => Number(await server.command('DBSIZE'))))
    expect(Math.min(...held)).toBeGreaterThan(0)
    expect(held.reduce((sum, size) => sum + size)).toBe(keys.length)
    for (const [index, replica] of cluster.replicas.entries()) {
      await expect.poll(() => replica.command('DBSIZE'), { timeout: 20_000 }).toBe(held[index])
    }
  },
)
