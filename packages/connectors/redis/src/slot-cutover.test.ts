/** Goal: a whole cutover between clusters under live writes: nothing lost, each deadline kept, and an abort leads back. */
import type { Decision, Mover } from '@replatform/core/connector'
import { systemClock } from '@replatform/engine/clock'
import { cutOver } from '@replatform/engine/cutover'
import { directFlow } from '@replatform/engine/direct-flow'
import { expect, test, vi } from 'vitest'
import { RedisReplyError } from './resp-reader.ts'
import { Following, loadMove } from './test-fixtures/move-rig.ts'
import { SlotClient, type SlotRig, startSlotRig } from './test-fixtures/slot-rig.ts'

// Servers that take over are waited for, also on a busy machine.
vi.setConfig({ testTimeout: 180_000 })

async function runCutover(rig: SlotRig, mover: Mover, following: Following, outcome: Decision['outcome']) {
  await using back = rig.createMover('reverse')
  let decided: Decision | undefined
  return await cutOver({
    id: `one-${outcome}`,
    direction: 'forward',
    budgetMs: 10_000,
    participants: [
      {
        name: 'cache',
        flow: directFlow(mover),
        back: directFlow(back),
        stop: () => following.stop(),
        kill: async () => {},
        routings: [],
      },
    ],
    decisions: {
      read: async () => decided,
      // What goes wrong must abort, whatever outcome is wished for.
      decide: async (decision) => (decided ??= decision.outcome === 'aborted' ? decision : { ...decision, outcome }),
    },
    journal: { started() {}, finished() {}, failed() {} },
    clock: systemClock,
  })
}

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
    const { decision } = await runCutover(rig, mover, following, 'aborted')
    expect(decision.outcome).toBe('aborted')
  }
  await using again = await SlotClient.open(appUrl('source'))
  await again.pipeline(sessions.map((key) => ['PEXPIRE', key, 700_000]))
  const deadlines = await Promise.all(sessions.map((key) => again.command('PEXPIRETIME', key)))
  await using following = new Following(mover)
  await again.catchUp(following)

  const last = new Map<number, number>()
  const writers = [0, 1, 2, 3].map(async (id) => {
    await using writer = await SlotClient.open(appUrl('source'))
    for (let i = 1; ; i++) {
      const [reply] = await writer.pipeline([['SET', `counter:${id}`, i]]).catch((thrown) => [thrown])
      if (reply instanceof Error) return
      last.set(id, i)
    }
  })
  const { decision, error } = await runCutover(rig, mover, following, 'committed')
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
