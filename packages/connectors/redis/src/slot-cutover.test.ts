/** Goal: a whole cutover between clusters under live writes: nothing lost, each deadline kept, and an abort leads back. */
import { pollUntil } from '@replatform/testkit/poll-until'
import { expect, test, vi } from 'vitest'
import { RedisReplyError } from './resp-reader.ts'
import { cutOverMove } from './test-fixtures/cut-over.ts'
import { Following, loadMove } from './test-fixtures/move-rig.ts'
import { SlotClient, startSlotRig } from './test-fixtures/slot-rig.ts'

// Servers that take over are waited for, also on a busy machine.
vi.setConfig({ testTimeout: 180_000 })

test('what was acknowledged before is there afterwards, after an abort too, and every server is closed', async () => {
  await using rig = await startSlotRig({
    source: { cluster: { replicasPerShard: 1 } },
    target: { cluster: { engine: 'valkey' } },
  })
  const appUrl = (side: 'source' | 'target') => rig[side][0]?.url('app', 'app-secret') as string
  await using app = await SlotClient.open(appUrl('source'))
  const sessions = Array.from({ length: 40 }, (_, i) => `session:${i}`)
  await app.pipeline(sessions.map((key) => ['SET', key, 'kept', 'PX', 600_000]))
  await using mover = rig.createMover()
  await loadMove(mover)

  {
    await using following = new Following(mover)
    await app.catchUp(following)
    const { decision } = await cutOverMove({ rig, mover, following, outcome: 'aborted' })
    expect(decision.outcome).toBe('aborted')
  }
  await using again = await SlotClient.open(appUrl('source'))
  await again.pipeline(sessions.map((key) => ['PEXPIRE', key, 700_000]))
  const deadlines = await Promise.all(sessions.map((key) => again.command('PEXPIRETIME', key)))
  // The target has their own deadlines since it was settled, and these come before the renewal does.
  await using early = await SlotClient.open(rig.urls.target)
  const lapsing = sessions.slice(0, 20)
  await early.pipeline(lapsing.map((key) => ['PEXPIRE', key, 1]))
  const left = () => Promise.all(lapsing.map((key) => early.command('EXISTS', key)))
  await pollUntil('they lapse on the target', async () => (await left()).every((exists) => exists === 0))
  await using following = new Following(mover)
  await again.catchUp(following)
  const level = await mover.compare({ scope: 'all', at: 'live' })
  expect(level.equal, JSON.stringify(level.results)).toBe(true)
  expect((await left()).every((exists) => exists === 1)).toBe(true)

  const last = new Map<number, number>()
  const writers = [0, 1, 2, 3].map(async (id) => {
    await using writer = await SlotClient.open(appUrl('source'))
    for (let i = 1; ; i++) {
      const [reply] = await writer.pipeline([['SET', `counter:${id}`, i]]).catch((thrown) => [thrown])
      if (reply instanceof Error) return
      last.set(id, i)
    }
  })
  const { decision, error } = await cutOverMove({ rig, mover, following, outcome: 'committed' })
  await Promise.all(writers)
  expect(error).toBeNull()
  expect(decision.outcome).toBe('committed')
  await using onNew = await SlotClient.open(appUrl('target'))
  for (const [id, value] of last) expect(Number(String(await onNew.command('GET', `counter:${id}`)))).toBe(value)
  expect(await Promise.all(sessions.map((key) => onNew.command('PEXPIRETIME', key)))).toEqual(deadlines)
  await onNew.command('SET', 'new', 1)
  // Replicas as well: one of them may be the next primary.
  for (const server of [...rig.source, ...(rig.clusters.source?.replicas ?? [])]) {
    await using client = await SlotClient.one(server.url('app', 'app-secret'))
    const [reply] = (await client.all[0]?.pipeline([['SET', 'x', 1]])) ?? []
    expect(reply).toBeInstanceOf(RedisReplyError)
    expect((reply as RedisReplyError).code).toBe('NOPERM')
  }
  await mover.cleanUp('everything')
  const own = await Promise.all(onNew.all.map((connection) => connection.command('KEYS', 'replatform:*')))
  expect(own).toEqual(onNew.all.map(() => []))
})
