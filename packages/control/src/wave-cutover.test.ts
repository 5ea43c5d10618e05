/**
 * Goal: the moves of a wave switch at one point or not at all, whoever dies and whenever; the gateway in front of them
 * lets nothing through to a store that is not ready.
 * Method: file stores with a gateway in front, real worker, mover and guard processes that are killed at named points.
 */
import { once } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import { until } from './test-fixtures/control-rig.ts'
import type { FileStore } from './test-fixtures/file-store.ts'
import { moves, relational, WaveRig } from './test-fixtures/wave-rig.ts'

// Workers, movers and guards are processes: on a machine that is busy each takes seconds to start.
vi.setConfig({ testTimeout: 150_000 })

test('a wave goes over, comes back, goes over again and is finalized, each time as one', async () => {
  await using rig = await WaveRig.inSync()
  const { client } = rig.control
  const cutover = await rig.perform('cutover')
  expect(cutover).toMatchObject({ state: 'done', move: null, wave: 'relational', error: null })
  expect(cutover.result).toMatchObject({ kind: 'cutover', cutover: { outcome: 'committed', budgetMs: 10_000 } })
  expect(new Set(cutover.steps.map(({ state }) => state))).toEqual(new Set(['done']))
  for (const move of moves) expect(rig.store(move).marks('new', 'decision-')).toEqual([`decision-${cutover.id}`])
  await rig.reach('reversing')
  await rig.expectOpen('new')

  expect(await rig.perform('rollback')).toMatchObject({ state: 'done' })
  await rig.reach('rolled-back')
  await rig.expectOpen('old')

  expect(await rig.perform('cutover')).toMatchObject({ state: 'done' })
  expect((await client.status()).waves).toMatchObject([{ name: 'relational', next: 'rollback, or finalize' }])
  expect(await rig.perform('finalize')).toMatchObject({ state: 'done' })
  await rig.reach('finalized')
  expect((await client.status()).waves).toMatchObject([{ next: null, lastCutover: { outcome: 'committed' } }])
  for (const store of moves.map((move) => rig.store(move))) {
    expect([store.has('old', 'fenced'), store.has('new', 'fenced')]).toEqual([true, false])
  }
})

test('the gateway is held before any store, and let through after all of them', async () => {
  await using rig = await WaveRig.inSync()
  rig.store('merchants').setFault('before hold', 'hang')
  const { id } = await rig.ask('cutover')
  await until('a store is held', () => rig.store('ledger').isHeld)
  expect(rig.gateway.isHeld).toBe(true)
  rig.store('merchants').setFault('before hold', null)
  rig.store('merchants').setFault('before release', 'hang')
  await until('the other store is let through', () => rig.store('ledger').trace().includes('release routing'))
  expect([rig.gateway.isHeld, rig.gateway.route]).toEqual([true, 'new'])
  rig.store('merchants').setFault('before release', null)
  expect(await rig.control.ended(id)).toMatchObject({ state: 'done' })
  await rig.expectOpen('new')
})

describe('what would tear a wave apart is refused', () => {
  test('a verb of one move that is a matter of all', async () => {
    await using rig = await WaveRig.inSync()
    const { client } = rig.control
    for (const verb of ['cutover', 'rollback', 'finalize'] as const) {
      const asked = client.ask(verb, 'ledger', { actor: 'a@b' })
      await expect(asked).rejects.toMatchObject({ code: 'cutover.whole-wave', message: /ledger, merchants/ })
    }
    const unknown = client.askWave('cutover', 'relationl', { actor: 'a@b' })
    await expect(unknown).rejects.toMatchObject({ code: 'estate.unknown-wave', message: /relational/ })
    expect((await client.status()).moves).toMatchObject([{ next: null, wave: 'relational' }, { next: null }])
    await rig.expectOpen('old')
  })

  test('a wave of which a move is not ready, or in work: with the reason of each', async () => {
    await using rig = await WaveRig.inSync()
    const { client } = rig.control
    rig.store('ledger').setFault('before compare-live', 'hang')
    const compare = await client.ask('compare', 'ledger', { actor: 'a@b' })
    await expect(rig.ask('cutover')).rejects.toMatchObject({ code: 'operation.running', message: /ledger: compare/ })
    rig.store('ledger').setFault('before compare-live', null)
    await rig.control.ended(compare.id)

    for (const move of moves) await rig.control.perform('pause', move)
    const refused = rig.ask('cutover')
    await expect(refused).rejects.toMatchObject({ code: 'cutover.not-ready', message: /ledger: .*merchants: / })
  })
})

describe('before the decision any fault of one move leads all of them back', () => {
  test.each([
    ['ledger', 'before fence'],
    ['merchants', 'after markStart'],
  ])('%s fails %s', async (move, point) => {
    await using rig = await WaveRig.inSync()
    rig.store(move).setFault(point, 'connection.lost')
    expect(await rig.perform('cutover')).toMatchObject({ state: 'failed', error: { code: 'connection.lost' } })
    await rig.reach('in-sync')
    await rig.expectOpen('old')
  })

  test('one that cannot be fenced within the budget: all are open again', async () => {
    await using rig = await WaveRig.inSync({ waves: [{ ...relational, pauseBudget: '1s' }] })
    rig.store('merchants').setFault('after fence', 'hang')
    const operation = await rig.perform('cutover')
    expect(operation).toMatchObject({ state: 'failed', error: { code: 'cutover.budget-exceeded' } })
    rig.store('merchants').setFault('after fence', null)
    await rig.reach('in-sync')
    await rig.expectOpen('old')
  })
})

describe('the coordinator is killed', () => {
  test.each([
    ['merchants', 'after markStart', 'crash-parent', 'old', 'in-sync'],
    ['ledger', 'after unfence', 'crash-parent', 'new', 'reversing'],
    ['gateway', 'before release', 'crash', 'new', 'reversing'],
  ] as const)('at %s %s: the next worker brings all moves to one end', async (where, point, fault, open, state) => {
    await using rig = await WaveRig.inSync()
    const died = once(rig.worker, 'exit')
    ;(where === 'gateway' ? rig.gateway : rig.store(where)).setFault(point, fault)
    const { id } = await rig.ask('cutover')
    await died
    await rig.fork()
    expect(await rig.control.ended(id)).toMatchObject({ state: open === 'new' ? 'done' : 'failed' })
    await rig.reach(state)
    await rig.expectOpen(open)
  })

  test('and the control database is lost with it: the flushed intent of the wave is enough', async () => {
    await using rig = await WaveRig.inSync()
    const died = once(rig.worker, 'exit')
    rig.store('merchants').setFault('after unfence', 'crash-parent')
    await rig.ask('cutover')
    await died
    await rig.control.loseDatabase()
    await rig.fork()
    await rig.reach('reversing')
    await rig.expectOpen('new')
  })

  test.each([
    ['after fence', 'old'],
    ['before recordDecision', 'new'],
  ] as const)('%s, and nobody starts another: the one guard opens every store', async (point, open) => {
    await using rig = await WaveRig.inSync({ isGuarded: true })
    const died = once(rig.worker, 'exit')
    rig.store('merchants').setFault(point, 'crash-parent')
    await rig.ask('cutover')
    await died
    const isOpen = (store: FileStore) => !store.isHeld && store.route === open && !store.has(open, 'fenced')
    const stores = moves.map((move) => rig.store(move))
    await until('writes go through', () => [...stores, rig.gateway].every(isOpen))
    await rig.fork()
    await rig.reach(open === 'new' ? 'reversing' : 'in-sync')
    await rig.expectOpen(open)
  })

  test('a cutover that cannot go forward pauses all its moves, and resume of one ends it for all', async () => {
    await using rig = await WaveRig.inSync()
    rig.store('merchants').setFault('before recordDecision', 'internal.invariant')
    expect(await rig.perform('cutover')).toMatchObject({ state: 'failed', error: { code: 'internal.invariant' } })
    for (const move of moves) {
      expect(await rig.control.status(move)).toMatchObject({ state: 'cutting-over', next: 'resume' })
    }
    expect(await rig.control.perform('resume', 'ledger')).toMatchObject({ state: 'done' })
    await rig.reach('reversing')
    await rig.expectOpen('new')
  })
})

test('other waves than those that a cutover is in the middle of are refused', async () => {
  await using rig = await WaveRig.inSync()
  const died = once(rig.worker, 'exit')
  rig.store('ledger').setFault('after fence', 'crash-parent')
  await rig.ask('cutover')
  await died
  const apart = moves.map((move) => ({ ...relational, name: `the-${move}`, moves: [move] }))
  const started = rig.control.fork({ ...rig.control.options(moves), waves: apart })
  await expect(started).rejects.toThrow('state.waves-differ')
  await rig.fork()
  await rig.reach('in-sync')
  await rig.expectOpen('old')
})

test('a move that trails is switched by itself, once the wave is over', async () => {
  await using rig = await WaveRig.inSync({ trailing: ['search'] })
  await rig.control.reaches('in-sync', 'search')
  const { client } = rig.control
  const early = client.ask('cutover', 'search', { actor: 'a@b' })
  await expect(early).rejects.toMatchObject({ code: 'cutover.not-ready', message: /ledger is in-sync/ })
  expect(await rig.perform('cutover')).toMatchObject({ state: 'done' })
  expect(await rig.control.status('search')).toMatchObject({ state: 'in-sync' })
  const level = await until('it says when it was level', async () =>
    (await rig.wave()).lastCutover?.steps.find(({ name, state }) => name === 'level search' && state === 'done'),
  )
  expect(level.ms).toEqual(expect.any(Number))
  await rig.expectOpen('new')
  expect(await rig.control.perform('cutover', 'search')).toMatchObject({ state: 'done' })
  await rig.control.reaches('reversing', 'search')
  expect(rig.gateway.trace().filter((line) => line.startsWith('hold'))).toHaveLength(1)
})
