/**
 * Compares two Redis servers of very many keys and watches the memory of the process that does: it must not grow with
 * their number. Both hold the same, made by the servers themselves (DEBUG POPULATE).
 */
import { redisRoute } from '@replatform/connector-redis/route'
import { type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import type { SoakOptions } from './soak.ts'

const mebi = 1024 * 1024

export async function soakRedisCompare({ keys, log }: SoakOptions): Promise<object> {
  const acl = ['mover on >mover-secret ~* &* +@all']
  const settings = { save: '""' }
  await using source = await startRedis({ acl, settings })
  await using target = await startRedis({ acl, settings })
  for (const server of [source, target]) await server.command('DEBUG', 'POPULATE', String(keys), 'session', '100')
  const endpoint = (server: RedisServer) => ({ kind: 'redis', url: server.url('mover', 'mover-secret') }) as const
  await using mover = redisRoute.open({
    move: 'soak',
    direction: 'forward',
    source: endpoint(source),
    target: endpoint(target),
    tools: {},
    workers: 1,
    log: { info() {}, warn() {}, error() {} },
  })
  log(`${keys} keys on both sides`)
  const seen = { afterTenth: 0, most: 0 }
  const report = await mover.compare({
    scope: 'all',
    at: 'fenced',
    report: ({ processed }) => {
      const rss = process.memoryUsage.rss()
      if (processed >= keys / 10 && seen.afterTenth === 0) seen.afterTenth = rss
      seen.most = Math.max(seen.most, rss)
    },
  })
  const matching = report.results[0]?.matching ?? 0
  if (!report.equal || matching !== keys) throw new Error(`${matching} of ${keys} keys compared equal`)
  if (seen.most > 300 * mebi) throw new Error(`The comparison took ${Math.round(seen.most / mebi)} MB`)
  const megabytes = (bytes: number) => Math.round(bytes / mebi)
  return {
    keys,
    seconds: Math.round(report.seconds),
    rssMbAfterTenth: megabytes(seen.afterTenth),
    rssMbMost: megabytes(seen.most),
  }
}
