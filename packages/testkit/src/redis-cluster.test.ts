import { createCluster } from '@redis/client'
import { expect, test } from 'vitest'
import { type RedisCluster, startRedisCluster } from './redis-cluster.ts'

test.each(['redis', 'valkey'] as const)(
  'a %s cluster takes keys of every shard, and each replica has its own',
  async (engine) => {
    const managed = engine === 'valkey' && ({ flavour: 'elasticache', tls: true } as const)
    await using cluster = await startRedisCluster({ engine, replicasPerShard: 1, ...managed })
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
    if (managed) await expect(forgetNobody(cluster)).rejects.toThrow('NOPERM')

    const held = await Promise.all(cluster.primaries.map(async (server) => Number(await server.command('DBSIZE'))))
    expect(Math.min(...held)).toBeGreaterThan(0)
    expect(held.reduce((sum, size) => sum + size)).toBe(keys.length)
    for (const [index, replica] of cluster.replicas.entries()) {
      await expect.poll(() => replica.command('DBSIZE'), { timeout: 20_000 }).toBe(held[index])
    }
  },
)

async function forgetNobody({ primaries: [first] }: RedisCluster): Promise<void> {
  await using client = await first?.connect()
  await client?.sendCommand(['CLUSTER', 'FORGET', '0'.repeat(40)])
}
