/** Goal: an address that names sentinels leads to the primary, and a move goes on behind another one when that takes over. */
import { pollUntil } from '@replatform/testkit/poll-until'
import { type RedisSentinelSet, startRedisSentinel } from '@replatform/testkit/redis-sentinel'
import { startRedis } from '@replatform/testkit/redis-server'
import { expect, test, vi } from 'vitest'
import { openConnection } from './connection.ts'
import { RedisReplyError } from './resp-reader.ts'
import { redisRoute } from './route.ts'
import { parseSentinels } from './sentinel.ts'
import { appUser, Following, loadMove, moverUser } from './test-fixtures/move-rig.ts'

// Servers that take over are waited for, also on a busy machine.
vi.setConfig({ testTimeout: 180_000 })

test.each([
  ['redis+sentinel://u:p%40@a:1,b:2/main', ['redis://a:1', 'redis://b:2'], 'redis://u:p%40@h:5'],
  ['rediss+sentinel://u:p@a/main?ca=%2Fca.pem', ['rediss://a:26379?ca=%2Fca.pem'], 'rediss://u:p@h:5?ca=%2Fca.pem'],
  ['redis-sentinel://:p@a:1/0/main', ['redis://a:1'], 'redis://:p@h:5'],
  ['redis+sentinel://a:1?sentinel-user=s&sentinel-password=q#main', ['redis://s:q@a:1'], 'redis://h:5'],
])('%s', (url, sentinels, server) => {
  const parsed = parseSentinels(url)
  expect([parsed.sentinels, parsed.name, parsed.serverUrl('h', 5)]).toEqual([sentinels, 'main', server])
})

test('an address without a name is refused and not told', () => {
  expect(() => parseSentinels('redis+sentinel://u:secret@a:1')).toThrow(
    expect.objectContaining({ code: 'secret.unresolved', message: expect.not.stringContaining('secret') }),
  )
})

function sentinelUrl({ sentinels, name }: RedisSentinelSet): string {
  const hosts = sentinels.map(({ host, port }) => `${host}:${port}`).join(',')
  const own = `sentinel-password=${encodeURIComponent(String(sentinels[0]?.password))}`
  return `redis+sentinel://mover:mover-secret@${hosts}/${name}?${own}`
}

test('a replica takes over in the middle, and every server is fenced', async () => {
  const acl = [moverUser, appUser]
  await using set = await startRedisSentinel({ acl, replicas: 1, settings: { 'repl-backlog-size': '16mb' } })
  await using target = await startRedis({ acl })
  const url = sentinelUrl(set)
  const openApp = async () =>
    openConnection({ url: (await set.primary()).url('app', 'app-secret'), side: 'source' as const })
  await using mover = redisRoute.open({
    move: 'm',
    direction: 'forward',
    source: { kind: 'redis', url },
    target: { kind: 'redis', url: target.url('mover', 'mover-secret') },
    tools: {},
    workers: 1,
    log: { info() {}, warn() {}, error() {} },
  })
  await using unknown = redisRoute.open({
    move: 'm',
    direction: 'forward',
    source: { kind: 'redis', url: url.replace('/rig?', '/nobody?') },
    target: { kind: 'redis', url: target.url('mover', 'mover-secret') },
    tools: {},
    workers: 1,
    log: { info() {}, warn() {}, error() {} },
  })
  await expect(unknown.assess()).rejects.toMatchObject({ code: 'redis.unknown-primary' })

  await using before = await openApp()
  for (let i = 0; i < 20; i++) await before.command('INCR', 'n')
  await loadMove(mover)
  await using first = new Following(mover)
  for (let i = 0; i < 20; i++) await before.command('INCR', 'n')
  await first.catchUp(before)
  await set.failOver()
  await expect(first.ended).rejects.toMatchObject({ retry: 'retry' })
  await using after = await openApp()
  for (let i = 0; i < 20; i++) await after.command('INCR', 'n')
  await using second = new Following(mover)
  await second.catchUp(after)
  expect(await mover.compare({ scope: 'all', at: 'live' })).toMatchObject({ equal: true, results: [{ matching: 1 }] })
  await using all = await openConnection({ url: target.url('mover', 'mover-secret'), side: 'target' })
  expect(String(await all.command('GET', 'n'))).toBe('60')

  await mover.fence('source', { withinMs: 5_000, turn: 1 })
  for (const server of set.servers) {
    await using app = await openConnection({ url: server.url('app', 'app-secret'), side: 'source' })
    const [reply] = await app.pipeline([['ACL', 'SETUSER', 'app', '+@all']])
    expect(reply).toBeInstanceOf(RedisReplyError)
  }
  const barrier = await mover.barrier()
  await pollUntil('all has crossed', async () => (await mover.remaining(barrier)).count === 0)
  await second.stop()
  await mover.unfence('source', { turn: 1 })
  await using open = await openApp()
  await open.command('INCR', 'n')
})
