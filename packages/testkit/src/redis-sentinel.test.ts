import { createSentinel } from '@redis/client'
import { expect, test } from 'vitest'
import { type RedisSentinelSet, startRedisSentinel } from './redis-sentinel.ts'

test('the sentinels lead clients to the primary, and to another when it is killed', async () => {
  await using set = await startRedisSentinel({ engine: 'valkey', tls: true })
  await using client = await connect(set)
  await client.set('session:1', 'open')
  const first = await set.primary()
  expect(await first.command('GET', 'session:1')).toBe('open')
  // Every replica has it before the kill: Redis does not promise what only the primary had.
  expect(await first.command('WAIT', '2', '20000')).toBe(2)

  await first.kill()
  const second = await set.untilPrimaryIsNot(first)
  expect(second.port).not.toBe(first.port)
  await expect.poll(() => client.get('session:1').catch(String), { timeout: 60_000 }).toBe('open')
})

test('a fail-over in order of an old Redis ends with the old primary as a replica', async () => {
  await using set = await startRedisSentinel({ version: '5.0', replicas: 1 })
  await using client = await connect(set)
  await client.set('session:1', 'open')
  const before = await set.primary()
  const after = await set.failOver()
  await after.command('SET', 'session:2', 'open')
  await expect.poll(() => before.command('GET', 'session:2'), { timeout: 20_000 }).toBe('open')
  expect(await before.command('GET', 'session:1')).toBe('open')
  const [sentinel] = set.sentinels
  await expect(sentinel?.connect(sentinel.url('', 'wrong'))).rejects.toThrow(/invalid password|WRONGPASS/)
})

async function connect({ name, sentinels, servers: [server] }: RedisSentinelSet) {
  const tls = server?.authority ? ({ socket: { tls: true, ca: server.authority } } as const) : {}
  const options = { password: String(server?.password), ...tls }
  const client = createSentinel({
    name,
    RESP: 2,
    sentinelRootNodes: sentinels.map(({ host, port }) => ({ host, port })),
    nodeClientOptions: options,
    sentinelClientOptions: options,
  })
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      await client.close()
    },
  })
}
