import { access } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { type RedisServer, startRedis } from './redis-server.ts'

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
  await expect(access(server.daemon.folder)).rejects.toThrow('ENOENT')
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

test('a replica follows', async () => {
  await using primary = await startRedis()
  await primary.command('SET', 'a', '1')
  await using replica = await startRedis({ replicaOf: primary })
  await expect.poll(() => replica.command('GET', 'a')).toBe('1')
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
  expect(await configured(server, 'maxmemory')).toBe('0')
})

async function configured(server: RedisServer, name: string): Promise<unknown> {
  const answer = await server.command('CONFIG', 'GET', name)
  return Array.isArray(answer) ? answer[1] : answer
}
