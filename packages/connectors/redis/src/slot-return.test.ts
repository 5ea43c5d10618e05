/**
 * Goal: the way back from and to clusters: over, back and over again under live writers, with every acknowledged write
 * once on the side that is open and deadlines to the millisecond.
 * Method: as in resync.test.ts: a real mover process and the engine's own coordinator, between sides of every form.
 */
import type { MoveState } from '@replatform/core/move'
import { flipSides } from '@replatform/testkit/flip-sides'
import type { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import { expect, test, vi } from 'vitest'
import { RoamingWriter } from './test-fixtures/roaming-writer.ts'
import { startSlotRig } from './test-fixtures/slot-rig.ts'
import { startMover } from './test-fixtures/start-mover.ts'

vi.setConfig({ testTimeout: 180_000 })

const forms = [
  ['one server and a newer cluster', { source: { server: {} }, target: { cluster: { engine: 'valkey' } } }],
  ['a cluster and a larger one', { source: { cluster: {} }, target: { cluster: { shards: 4 } } }],
  ['a cluster and one server', { source: { cluster: {} }, target: { server: { engine: 'valkey' } } }],
] as const

test.each(forms)('over, back and over again under live writers: %s', async (_name, sides) => {
  await using rig = await startSlotRig(sides)
  await using mover = await startMover('roaming', rig.urls)
  const writers = ['a', 'b', 'c'].map((name) => new RoamingWriter(name, (side) => rig.openApp(side)))
  const flow = (more: number) => {
    const before = writers.map(({ pushed }) => pushed.length)
    return pollUntil('writes flow', () => writers.every(({ pushed }, n) => pushed.length > (before[n] ?? 0) + more))
  }
  await flow(30)
  run(mover, 'forward', 'planned')
  await level(mover)
  for (const direction of ['forward', 'reverse', 'forward', 'reverse'] as const) {
    const { error, decision } = await flipSides({ mover, direction, budgetMs: 60_000 })
    expect(error).toBeNull()
    expect(decision.outcome).toBe('committed')
    const [back, state] = direction === 'forward' ? ['reverse', 'reversing'] : ['forward', 'rolled-back']
    run(mover, back as 'forward' | 'reverse', state as MoveState)
    await level(mover)
    await flow(30)
  }
  for (const writer of writers) await writer[Symbol.asyncDispose]()
  await using old = await rig.openApp('source')
  for (const writer of writers) await writer.expectAllOn(old)
})

test('a mover that is killed on the way back, wherever, loses nothing of it', async () => {
  await using rig = await startSlotRig({ source: { cluster: {} }, target: { cluster: { engine: 'valkey' } } })
  const writers = ['a', 'b'].map((name) => new RoamingWriter(name, (side) => rig.openApp(side)))
  let mover = await startMover('killed', rig.urls)
  run(mover, 'forward', 'planned')
  await level(mover)
  const { error } = await flipSides({ mover, direction: 'forward', budgetMs: 60_000 })
  expect(error).toBeNull()
  for (const reached of killPoints) {
    run(mover, 'reverse', 'reversing')
    await reached(mover)
    await mover.kill()
    const before = writers.map(({ pushed }) => pushed.length)
    await pollUntil('it is written unheard', () =>
      writers.every(({ pushed }, n) => pushed.length > (before[n] ?? 0) + 20),
    )
    mover = await startMover('killed', rig.urls)
  }
  run(mover, 'reverse', 'reversing')
  await level(mover)
  expect((await flipSides({ mover, direction: 'reverse', budgetMs: 60_000 })).error).toBeNull()
  for (const writer of writers) await writer[Symbol.asyncDispose]()
  await using old = await rig.openApp('source')
  for (const writer of writers) await writer.expectAllOn(old)
  await mover.kill()
})

const killPoints: readonly ((mover: TestMover) => Promise<unknown>)[] = [
  (mover) => mover.waitFor((e) => e.event === 'follow' && e.progress.rows > 100),
  // Nothing was level since it began again: it is in the pass that looks at every key.
  (mover) => mover.waitFor((e) => e.event === 'follow'),
  async (mover) => {
    await level(mover)
    mover.client.call('compare', { direction: 'reverse', scope: 'changed', at: 'live' }).catch(() => {})
    await mover.waitFor((e) => e.event === 'compare')
  },
  // After a rollback that ended in its pause: the new side goes on to take writes.
  async (mover) => {
    await level(mover)
    const settle = () => Promise.reject(new Error('not today'))
    const { decision } = await flipSides({ mover, direction: 'reverse', budgetMs: 60_000, overrides: { settle } })
    expect(decision.outcome).toBe('aborted')
    await mover.kill()
  },
]

function run(mover: TestMover, direction: 'forward' | 'reverse', state: MoveState): void {
  mover.events.length = 0
  mover.client.call('run', { direction, state }).catch(() => {})
}

function level(mover: TestMover) {
  return mover.waitFor((e) => e.event === 'follow' && e.progress.lagMs < 1_000)
}
