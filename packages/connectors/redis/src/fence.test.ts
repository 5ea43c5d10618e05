/**
 * Goal: on a fenced side nobody but the mover writes, however they connect and whatever they had open; it survives a
 * restart; unfencing gives everybody back exactly what they had; and what arrives late of an earlier turn changes
 * nothing in a later one.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import { fenceSide, requireFenced, unfenceSide } from './fence.ts'
import { RedisReplyError, type RespValue } from './resp-reader.ts'
import { openLate } from './test-fixtures/late-command.ts'
import { appUser, type MoveRig, moverUser, startMoveRig } from './test-fixtures/move-rig.ts'

const log = { info() {}, warn() {}, error() {} }
let rig: MoveRig

beforeEach(async () => {
  const acl = [
    moverUser,
    appUser,
    'narrow on >narrow-secret ~app:* -@all +ping +get +set +eval +script|load',
    'selective on >selective-secret -@all +ping (+@write ~sel:*)',
    'retired off >retired-secret ~* &* +@all',
  ]
  rig = await startMoveRig({ source: { acl } })
})
afterEach(() => rig[Symbol.asyncDispose]())

const rulesOf = async () => {
  await using all = await rig.openAll('source')
  // The server lists rules of single commands in no particular order.
  const users = ((await all.command('ACL', 'LIST')) as RespValue[]).map(String).sort()
  return users
    .filter((user) => !user.startsWith('user replatform-turn:'))
    .map((user) => user.split(' ').sort().join(' '))
}

test('writers of every kind are stopped, and nothing that was acknowledged lies behind the barrier', async () => {
  const before = await rulesOf()
  const acknowledged = new Map<number, number>()
  const attack = async (id: number) => {
    for (let i = 1; ; i++) {
      const reply = await (async (): Promise<unknown> => {
        await using app = await rig.openApp('source')
        for (; ; i++) {
          const [answer] = await app.pipeline([['SET', `attack:${id}`, i]])
          if (answer instanceof RedisReplyError) return answer
          acknowledged.set(id, i)
        }
      })().catch((thrown) => thrown)
      if (reply instanceof RedisReplyError && reply.code === 'NOPERM') return
    }
  }
  await using open = await rig.openApp('source')
  await open.pipeline([['MULTI'], ['SET', 'queued', 1]])
  await using watching = await rig.openApp('source')
  const blocked = watching.command('BLPOP', 'never', 0).catch((thrown) => thrown)
  const attacks = [1, 2, 3, 4].map(attack)
  await using mover = rig.createMover()
  await new Promise((resolve) => setImmediate(resolve))
  await mover.fence('source', { withinMs: 2_000, turn: 1 })
  const barrier = await mover.barrier()
  await Promise.all(attacks)
  await blocked

  await using all = await rig.openAll('source')
  for (const [id, last] of acknowledged) expect(Number(String(await all.command('GET', `attack:${id}`)))).toBe(last)
  const [exec] = await open.pipeline([['EXEC']]).catch((thrown) => [thrown])
  expect(exec).toBeInstanceOf(Error)
  for (const [user, command] of [
    ['app', ['SET', 'x', '1']],
    ['app', ['EVAL', "return redis.call('SET', 'x', 1)", '0']],
    ['app', ['FUNCTION', 'LOAD', "#!lua name=l\nredis.register_function('f', function() return 1 end)"]],
    ['app', ['ACL', 'SETUSER', 'app', '+@all']],
    ['app', ['FLUSHALL']],
    ['app', ['REPLICAOF', '127.0.0.1', '1']],
    ['app', ['CLIENT', 'KILL', 'TYPE', 'normal']],
    ['app', ['CONFIG', 'SET', 'maxmemory', '1mb']],
    ['narrow', ['SET', 'app:x', '1']],
    ['narrow', ['EVAL', "return redis.call('SET', KEYS[1], 1)", '1', 'app:x']],
    ['selective', ['SET', 'sel:x', '1']],
    ['default', ['SET', 'x', '1']],
  ] as const) {
    await using client = await connectAs(user)
    const [reply] = await client.pipeline([command])
    expect(reply, `${user} ${command[0]}`).toBeInstanceOf(RedisReplyError)
  }
  const fields = String(await all.command('INFO', 'replication'))
  expect(barrier.position.endsWith(`:${/master_repl_offset:(\d+)/.exec(fields)?.[1]}`)).toBe(true)
  await using reader = await rig.openApp('source')
  expect(await reader.command('GET', 'attack:1')).not.toBeNull()

  await mover.unfence('source', { turn: 1 })
  expect(await rulesOf()).toEqual(before)
  await reader.command('SET', 'open', 1)
})

test('the fence survives a restart, can be put up twice, and is taken off by another mover', async () => {
  const before = await rulesOf()
  await using first = rig.createMover()
  await first.fence('source', { withinMs: 2_000, turn: 1 })
  await first.fence('source', { withinMs: 2_000, turn: 1 })
  await rig.source.restart()
  await expect(connectAs('app').then((app) => app.command('SET', 'x', 1))).rejects.toMatchObject({
    code: 'auth.missing-rights',
  })
  await using second = rig.createMover()
  await second.fence('source', { withinMs: 2_000, turn: 1 })
  await second.unfence('source', { turn: 1 })
  await second.unfence('source', { turn: 1 })
  expect(await rulesOf()).toEqual(before)
})

test('a user that was made or given rights after the fence is found before the decision', async () => {
  await using mover = rig.createMover()
  await mover.prepare({ load: true })
  await mover.fence('source', { withinMs: 2_000, turn: 1 })
  await using all = await rig.openAll('source')
  await all.command('ACL', 'SETUSER', 'late', 'on', '>late', '~*', '+@all')
  await expect(mover.settle()).rejects.toMatchObject({ code: 'redis.fence-lifted' })
  await all.command('ACL', 'DELUSER', 'late')
  await all.command('ACL', 'SETUSER', 'app', '+set')
  await expect(mover.barrier()).rejects.toMatchObject({ code: 'redis.fence-lifted' })
})

test('a mover that shares the user of the applications is refused, and nothing is touched', async () => {
  const before = await rulesOf()
  const { redisRoute } = await import('./route.ts')
  const source = { kind: 'redis', url: rig.source.url() } as const
  await using mover = redisRoute.open({
    move: 'm',
    direction: 'forward',
    source,
    target: source,
    tools: {},
    workers: 1,
    log,
  })
  await expect(mover.fence('source', { withinMs: 1_000, turn: 1 })).rejects.toMatchObject({ code: 'redis.shared-user' })
  expect(await rulesOf()).toEqual(before)
})

test.each(['MULTI', 'SETNAME'])(
  'an unfencing that hangs from %s on opens nothing that was fenced since',
  async (from) => {
    const before = await rulesOf()
    await using mover = rig.createMover()
    await mover.fence('source', { withinMs: 2_000, turn: 1 })
    await using late = await openLate(rig.urls.source, from)
    const givenUp = unfenceSide({ connection: late.connection, move: 'cache', turn: 1, log }).catch((thrown) => thrown)
    await late.sent
    await mover.unfence('source', { turn: 1 })
    await mover.fence('source', { withinMs: 2_000, turn: 2 })
    const fenced = await rulesOf()
    await late.arrive()
    // One that had begun was closed; one that begins now finds the later turn.
    expect(await givenUp).toMatchObject({ code: from === 'MULTI' ? 'connection.lost' : 'fence.superseded' })
    expect(await rulesOf()).toEqual(fenced)
    await using app = await rig.openApp('source')
    await expect(app.command('SET', 'x', 1)).rejects.toMatchObject({ code: 'auth.missing-rights' })
    await using all = await rig.openAll('source')
    await requireFenced(all)
    // Saved with the fence.
    await rig.source.restart()
    await using again = rig.createMover()
    await expect(again.unfence('source', { turn: 1 })).rejects.toMatchObject({ code: 'fence.superseded' })

    await again.unfence('source', { turn: 2 })
    expect(await rulesOf()).toEqual(before)
  },
)

test.each(['MULTI', 'SETNAME'])('a fence that hangs from %s on closes nothing that was opened since', async (from) => {
  const before = await rulesOf()
  await using late = await openLate(rig.urls.source, from)
  const fence = { connection: late.connection, move: 'cache', turn: 1, withinMs: 100, log }
  const givenUp = fenceSide(fence).catch((thrown) => thrown)
  await late.sent
  await using mover = rig.createMover()
  await mover.unfence('source', { turn: 1 })
  await late.arrive()
  expect(await givenUp).toMatchObject({ code: from === 'MULTI' ? 'connection.lost' : 'fence.superseded' })
  expect(await rulesOf()).toEqual(before)
  await mover.cleanUp('everything')
  await using all = await rig.openAll('source')
  expect(String(await all.command('ACL', 'USERS'))).not.toContain('replatform')
})

test('moves that share a server leave one another their turns', async () => {
  await using late = await openLate(rig.urls.source, 'MULTI')
  await using mine = rig.createMover()
  await using other = rig.createMover({ move: 'other' })
  await mine.fence('source', { withinMs: 2_000, turn: 1 })
  const unfencing = unfenceSide({ connection: late.connection, move: 'cache', turn: 1, log })
  await late.sent
  await other.fence('source', { withinMs: 2_000, turn: 1 })
  await late.arrive()
  await unfencing
  await using app = await rig.openApp('source')
  await app.command('SET', 'x', 1)
})

async function connectAs(user: string): Promise<Connection> {
  const { openConnection } = await import('./connection.ts')
  const password = user === 'default' ? rig.source.password : `${user}-secret`
  const url = rig.source.url(user, password)
  const connection = await openConnection({ url, side: 'source' })
  return connection
}
