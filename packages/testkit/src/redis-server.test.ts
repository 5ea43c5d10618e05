import { access } from 'node:fs/promises'
import { createClient } from '@redis/client'
import { expect, test, vi } from 'vitest'
import { startRedis } from './redis-server.ts'

test.each(['redis', 'valkey'] as const)('%s keeps its data over a restart and leaves nothing', async (engine) => {
  const server = await startRedis({ engine })
  {
    await using _ = server
    await using client = await server.connect()
    await client.set('session:1', 'open')
    expect(String(await server.command('INFO', 'server'))).toMatch(
      engine === 'valkey' ? /valkey_version:8/ : /redis_version:7/,
    )
    await server.restart()
    expect(await server.command('GET', 'session:1')).toBe('open')
  }
  expect(server.running).toBe(false)
  await expect(access(server.folder)).rejects.toThrow('ENOENT')
})

test.each(['6.2', '5.0', '3.2'] as const)('Redis %s is a source that a newer server can follow', async (version) => {
  await using source = await startRedis({ version })
  expect(String(await source.command('INFO', 'server'))).toContain(`redis_version:${version}.`)
  await using stranger = await source.connect(source.url('', false))
  await expect(stranger.get('session:1')).rejects.toThrow('NOAUTH')
  await using client = await source.connect()
  await client.set('session:1', 'open')
  await using replica = await startRedis({ replicaOf: source })
  await expect.poll(() => replica.command('GET', 'session:1'), { timeout: 20_000 }).toBe('open')
  await source.restart()
  expect(await source.command('GET', 'session:1')).toBe('open')
})

test('what an older Redis cannot do is told before anything starts', async () => {
  await expect(startRedis({ version: '6.2', tls: true })).rejects.toThrow('Redis 6.2 of the rig has no TLS')
  await expect(startRedis({ version: '5.0', acl: ['app on >secret'] })).rejects.toThrow('has no users')
  await expect(startRedis({ version: '3.2', flavour: 'elasticache' })).rejects.toThrow('has no users')
})

test('nobody gets in without the right password, except where none is asked for', async () => {
  await using server = await startRedis({ acl: ['app on >secret ~app:* +@read'] })
  await expect(server.connect(server.url('default', 'wrong'))).rejects.toThrow('WRONGPASS')
  await using stranger = await server.connect(server.url('default', false))
  await expect(stranger.get('a')).rejects.toThrow('NOAUTH')
  await using app = await server.connect(server.url('app', 'secret'))
  expect(await app.get('app:1')).toBeNull()
  await expect(app.get('other:1')).rejects.toThrow('NOPERM')

  await using open = await startRedis({ password: false })
  await using anybody = await open.connect()
  expect(await anybody.get('a')).toBeNull()
})

test('TLS is all that it speaks, under a certificate of the rig', async () => {
  await using server = await startRedis({ tls: true })
  expect(await server.command('PING')).toBe('PONG')
  await expect(ping(server.url())).rejects.toThrow(/self-signed|unable to (get|verify)/)
  await expect(ping(server.url().replace('rediss:', 'redis:'))).rejects.toThrow()
  await using replica = await startRedis({ tls: true, replicaOf: server })
  await server.command('SET', 'a', '1')
  await expect.poll(() => replica.command('GET', 'a'), { timeout: 20_000 }).toBe('1')
})

test("somebody's own server takes the place of ours, and is never stopped", async () => {
  await using theirs = await startRedis({ password: 'their own' })
  vi.stubEnv('RIG_REDIS_URL', theirs.url())
  try {
    await using server = await startRedis()
    expect(server.url()).toBe(theirs.url())
    await server.command('SET', 'a', '1')
    await expect(server.kill()).rejects.toThrow('RIG_REDIS_URL')
    await expect(server.stop()).rejects.toThrow('RIG_REDIS_URL')
  } finally {
    vi.unstubAllEnvs()
  }
  expect(await theirs.command('GET', 'a')).toBe('1')
})

test('a replica follows', async () => {
  await using primary = await startRedis()
  await primary.command('SET', 'a', '1')
  await using replica = await startRedis({ replicaOf: primary })
  await expect.poll(() => replica.command('GET', 'a'), { timeout: 20_000 }).toBe('1')
})

test('ElastiCache refuses its users what the rig may still do', async () => {
  await using server = await startRedis({ engine: 'valkey', flavour: 'elasticache', acl: ['app on >secret ~* +@all'] })
  for (const url of [server.url(), server.url('app', 'secret')]) {
    await using client = await server.connect(url)
    for (const refused of [
      ['CONFIG', 'GET', 'maxmemory'],
      ['DEBUG', 'SLEEP', '0'],
      ['MIGRATE', '127.0.0.1', '1', 'a', '0', '1'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['SLAVEOF', 'NO', 'ONE'],
      ['SAVE'],
      ['BGSAVE'],
      ['BGREWRITEAOF'],
      ['SHUTDOWN'],
      ['SYNC'],
      ['PSYNC', '?', '-1'],
      ['MODULE', 'LIST'],
      ['ACL', 'SETUSER', 'x'],
      ['CLUSTER', 'MEET', '127.0.0.1', '1'],
    ]) {
      await expect(client.sendCommand(refused), refused.join(' ')).rejects.toThrow(/NOPERM|ACL failure/)
    }
    await client.set('a', '1', { PX: 60_000 })
    expect(await client.sendCommand(['DUMP', 'a'])).not.toBeNull()
  }
  expect(await server.setting('maxmemory')).toBe('0')
})

async function ping(url: string): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  await client.connect()
  client.destroy()
}
