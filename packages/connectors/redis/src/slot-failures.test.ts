/**
 * Goal: whatever a cluster does during a move (a replica takes over, slots move), the move goes on with every key as
 * often as it was written, or stops by name; it never loses anything silently.
 * Method: counters that only INCR show what came twice or not at all.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RedisServer } from '@replatform/testkit/redis-server'
import { expect, test, vi } from 'vitest'
import { Following, loadMove } from './test-fixtures/move-rig.ts'
import { asMover, moveSlotOf, replicasOf, takeOver, untilLedTo } from './test-fixtures/slot-changes.ts'
import { SlotClient, type SlotRig, startSlotRig } from './test-fixtures/slot-rig.ts'

// Servers that take over are waited for, also on a busy machine.
vi.setConfig({ testTimeout: 180_000 })

async function count(app: SlotClient, rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) await app.pipeline(Array.from({ length: 60 }, (_, k) => ['INCR', `n:${k}`]))
}

/** Every write so far is on the replica as well: Redis does not promise what only one server had. */
async function replicated(app: SlotClient, links = 1): Promise<void> {
  for (const connection of app.all) expect(await connection.command('WAIT', links, 20_000)).toBe(links)
}

/** Follows until it is level; what is only a sign of a server that takes over is tried again. */
async function follow(rig: SlotRig, app: SlotClient): Promise<void> {
  await using mover = rig.createMover()
  await pollUntil(
    'the move goes on',
    async () => {
      await using following = new Following(mover)
      try {
        await app.catchUp(following)
        const report = await mover.compare({ scope: 'all', at: 'live' })
        expect(report.equal, JSON.stringify(report.results)).toBe(true)
        return true
      } catch (thrown) {
        if ((thrown as { retry?: string }).retry !== 'retry') throw thrown
        return undefined
      }
    },
    { withinMs: 60_000 },
  )
}

test('a replica of the source takes over: what the old primary said counts, and nothing comes twice', async () => {
  await using rig = await startSlotRig({ source: { cluster: { replicasPerShard: 1 } }, target: { server: {} } })
  await using before = await SlotClient.open(rig.urls.source)
  await count(before, 20)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await count(before, 20)
  await before.catchUp(following)
  // The mover's own link counts as a replica.
  await replicated(before, 2)
  const [primary] = rig.source as [RedisServer]
  const [replica] = replicasOf(rig, 'source')
  await primary.kill()
  await expect(following.ended).rejects.toMatchObject({ retry: 'retry' })
  await takeOver(replica)
  const urls = { ...rig.urls, source: (rig.source[1] as RedisServer).url('mover', 'mover-secret') }
  await untilLedTo(replica, primary, rig.source[1] as RedisServer)
  await using after = await SlotClient.open(urls.source)
  await count(after, 20)
  await follow({ ...rig, createMover: () => rig.createMover('forward', urls) }, after)
  await using target = await SlotClient.open(rig.urls.target)
  expect(
    (
      await target.pipeline([
        ['GET', 'n:1'],
        ['GET', 'n:2'],
      ])
    ).map(String),
  ).toEqual(['60', '60'])
})

test('a replica of the target takes over that has not everything: its part is written again from there on', async () => {
  await using rig = await startSlotRig({ source: { server: {} }, target: { cluster: { replicasPerShard: 1 } } })
  await using app = await SlotClient.open(rig.urls.source)
  await count(app, 20)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await count(app, 20)
  await app.catchUp(following)
  await using target = await SlotClient.open(rig.urls.target)
  await replicated(target)
  // From here on the replica hears nothing more, and takes over without knowing what came since.
  const [primary] = rig.target as [RedisServer]
  const [replica] = replicasOf(rig, 'target')
  await asMover(replica, ['CONFIG', 'SET', 'masterauth', 'wrong'])
  await asMover(primary, ['CLIENT', 'KILL', 'TYPE', 'replica'])
  await count(app, 20)
  await app.catchUp(following)
  await primary.kill()
  await count(app, 1)
  await expect(following.ended).rejects.toMatchObject({ retry: 'retry' })
  await takeOver(replica)
  const urls = { ...rig.urls, target: (rig.target[1] as RedisServer).url('mover', 'mover-secret') }
  await untilLedTo(replica, primary, rig.target[1] as RedisServer)
  await using held = await SlotClient.open(urls.target)
  const behind = await held.pipeline(Array.from({ length: 60 }, (_, k) => ['GET', `n:${k}`]))
  expect(behind.map(String)).toContain('40')
  await follow({ ...rig, createMover: () => rig.createMover('forward', urls) }, app)
  const counts = await held.pipeline(Array.from({ length: 60 }, (_, k) => ['GET', `n:${k}`]))
  expect(new Set(counts.map(String))).toEqual(new Set(['61']))
})

test.each(['source', 'target'] as const)('slots that move on the %s stop the move by name', async (side) => {
  await using rig = await startSlotRig({ source: { cluster: {} }, target: { cluster: {} } })
  await using app = await SlotClient.open(rig.urls.source)
  await count(app, 5)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await count(app, 5)
  await app.catchUp(following)
  await moveSlotOf('n:1', rig[side])
  await using writer = await SlotClient.open(rig.urls.source)
  const writing = (async () => {
    while (!following.failure) await count(writer, 1)
  })()
  await expect(following.ended).rejects.toMatchObject({ code: 'redis.slots-moved' })
  await writing
  // It does not go on by being asked again.
  await expect(new Following(mover).ended).rejects.toMatchObject({ retry: expect.stringMatching(/operator|terminal/) })
})
