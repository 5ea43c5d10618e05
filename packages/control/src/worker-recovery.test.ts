/**
 * Goal: whoever dies, and whenever, the move ends in the one outcome that its decision says, with exactly one side
 * open for writes and nothing lost. Method: real worker and mover processes are killed with SIGKILL at named points.
 */
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { ControlRig, killed, until } from './test-fixtures/control-rig.ts'
import type { FileStore } from './test-fixtures/file-store.ts'

async function inSync() {
  const rig = await ControlRig.create()
  const store = rig.store()
  store.setRows('old', 3)
  const worker = await rig.fork()
  await rig.perform('start')
  await rig.reaches('in-sync')
  return { rig, store, worker, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() }
}

/** Who writes where, and that what is written arrives on the other side. */
async function expectOneSideOpen(store: FileStore, open: 'old' | 'new'): Promise<void> {
  const other = open === 'old' ? 'new' : 'old'
  expect([store.route, store.isHeld]).toEqual([open, false])
  expect([store.insert(open), store.insert(other)]).toEqual([true, false])
  await until('both sides are level', () => store.rows('old') === store.rows('new'))
  expect(store.rows('new')).toBe(4)
}

describe('the worker is killed in the middle of a cutover', () => {
  test.each([
    ['after prepare', 'crash-parent'],
    ['after hold', 'crash'],
    ['after fence', 'crash-parent'],
    ['before raiseEpoch', 'crash-parent'],
    ['after markStart', 'crash-parent'],
  ] as const)('%s: the next worker aborts', async (point, fault) => {
    await using started = await inSync()
    const { rig, store, worker } = started
    const died = once(worker, 'exit')
    store.setFault(point, fault)
    const { id } = await rig.client.ask('cutover', 'ledger', { actor: 'test@rig' })
    await died

    await rig.fork()
    expect(await rig.ended(id)).toMatchObject({ state: 'failed', error: { code: 'cutover.aborted' } })
    expect(await rig.status()).toMatchObject({ state: 'in-sync', paused: null, lastCutover: { outcome: 'aborted' } })
    expect(store.has('new', 'stream-reverse')).toBe(false)
    await expectOneSideOpen(store, 'old')
  })

  test.each([
    ['before recordDecision', 'crash-parent'],
    ['after unfence', 'crash-parent'],
    ['after point', 'crash'],
    ['before release', 'crash'],
    ['after cleanUp', 'crash-parent'],
  ] as const)('%s: the next worker goes forward', async (point, fault) => {
    await using started = await inSync()
    const { rig, store, worker } = started
    const died = once(worker, 'exit')
    store.setFault(point, fault)
    const { id } = await rig.client.ask('cutover', 'ledger', { actor: 'test@rig' })
    await died

    await rig.fork()
    expect(await rig.ended(id)).toMatchObject({ state: 'done', result: { cutover: { outcome: 'committed' } } })
    expect(await rig.status()).toMatchObject({
      state: 'reversing',
      paused: null,
      lastCutover: { outcome: 'committed' },
    })
    expect(store.marks('new', 'decision-')).toEqual([`decision-${id}`])
    await expectOneSideOpen(store, 'new')
  })

  test.each([
    ['after fence', 'old', 'in-sync'],
    ['after unfence', 'new', 'reversing'],
  ] as const)(
    '%s, and the control database is lost with it: the flushed intent is enough',
    async (point, open, state) => {
      await using started = await inSync()
      const { rig, store, worker } = started
      const died = once(worker, 'exit')
      store.setFault(point, 'crash-parent')
      await rig.client.ask('cutover', 'ledger', { actor: 'test@rig' })
      await died
      await rig.loseDatabase()

      await rig.fork()
      expect(await rig.reaches(state)).toMatchObject({ paused: null })
      await expectOneSideOpen(store, open)
    },
  )

  test('and so is the one that takes over: the third still goes forward', async () => {
    await using started = await inSync()
    const { rig, store, worker } = started
    const died = once(worker, 'exit')
    store.setFault('before recordDecision', 'crash-parent')
    const { id } = await rig.client.ask('cutover', 'ledger', { actor: 'test@rig' })
    await died
    store.setFault('before unfence', 'crash-parent')
    const second = await rig.fork().catch(() => undefined)
    if (second) await until('the second is dead', () => second.signalCode === 'SIGKILL')

    await rig.fork()
    expect(await rig.ended(id)).toMatchObject({ state: 'done', result: { cutover: { outcome: 'committed' } } })
    await expectOneSideOpen(store, 'new')
  })

  test('in the middle of a rollback, after its decision: the old side is open in the end', async () => {
    await using started = await inSync()
    const { rig, store, worker } = started
    await rig.perform('cutover')
    const died = once(worker, 'exit')
    store.setFault('before unfence', 'crash-parent')
    const { id } = await rig.client.ask('rollback', 'ledger', { actor: 'test@rig' })
    await died

    await rig.fork()
    expect(await rig.ended(id)).toMatchObject({ state: 'done' })
    expect(await rig.status()).toMatchObject({ state: 'rolled-back' })
    await expectOneSideOpen(store, 'old')
  })
})

describe('other deaths', () => {
  test('a worker that was killed while it followed goes on after its restart', async () => {
    await using started = await inSync()
    const { rig, store, worker } = started
    await killed(worker)
    store.insert('old')
    await rig.fork()
    await until('the row is there', () => store.rows('new') === 4)
    expect(await rig.status()).toMatchObject({ state: 'in-sync', paused: null })
  })

  test('an operation that was running when the worker died is performed by the next', async () => {
    await using started = await inSync()
    const { rig, store, worker } = started
    store.setFault('before compare-live', 'hang')
    const { id } = await rig.client.ask('compare', 'ledger', { actor: 'test@rig' })
    await until('it compares', () => store.trace().includes('compare-live forward'))
    await killed(worker)
    store.setFault('before compare-live', null)
    await rig.fork()
    expect(await rig.ended(id)).toMatchObject({ state: 'done', result: { report: { equal: true } } })
  })

  test('a worker that is stopped interrupts a comparison, and the next one performs it', async () => {
    await using started = await inSync()
    const { rig, store, worker } = started
    const exited = once(worker, 'exit')
    store.setFault('before compare-live', 'hang')
    const { id } = await rig.client.ask('compare', 'ledger', { actor: 'test@rig' })
    await until('it compares', () => store.trace().includes('compare-live forward'))
    await rig.client.stopWorker()
    expect(await exited).toEqual([0, null])
    store.setFault('before compare-live', null)
    await rig.fork()
    expect(await rig.ended(id)).toMatchObject({ state: 'done', result: { report: { equal: true } } })
  })

  test('a mover that is killed in the middle of the load is started again', async () => {
    await using rig = await ControlRig.create()
    const store = rig.store()
    store.setRows('old', 3)
    await rig.fork()
    store.setFault('before load', 'crash')
    await rig.perform('start')
    const status = await rig.reaches('in-sync')
    expect(status.mover?.restarts).toBe(1)
    expect([store.rows('new'), store.trace().filter((line) => line === 'load forward').length]).toEqual([3, 2])
  })

  test('a cutover that cannot go forward pauses the move, and resume ends it', async () => {
    await using started = await inSync()
    const { rig, store } = started
    store.setFault('before recordDecision', 'internal.invariant')
    expect(await rig.perform('cutover')).toMatchObject({ state: 'failed', error: { code: 'internal.invariant' } })
    expect(await rig.status()).toMatchObject({
      state: 'cutting-over',
      paused: { error: { code: 'internal.invariant' } },
      lastCutover: { outcome: 'committed' },
      next: 'resume',
    })
    expect(await rig.perform('resume')).toMatchObject({ state: 'done' })
    await rig.reaches('reversing')
    await expectOneSideOpen(store, 'new')
  })
})
