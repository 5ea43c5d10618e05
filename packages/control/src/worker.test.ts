import { describe, expect, test } from 'vitest'
import { ControlRig, until } from './test-fixtures/control-rig.ts'
import { startFileWorker } from './test-fixtures/file-worker.ts'

async function startRig() {
  const rig = await ControlRig.create()
  const worker = await startFileWorker(rig.options())
  return {
    rig,
    worker,
    store: rig.store(),
    async [Symbol.asyncDispose]() {
      await worker.stop()
      await rig[Symbol.asyncDispose]()
    },
  }
}

describe('a move through the API', () => {
  test('goes over, comes back, goes over again and is finalized', async () => {
    await using started = await startRig()
    const { rig, store } = started
    store.setRows('old', 3)

    expect(await rig.status()).toMatchObject({ state: 'planned', route: 'file→file', next: 'start', mover: null })
    expect(await rig.perform('start')).toMatchObject({ state: 'done', result: { kind: 'findings', findings: [] } })
    await rig.reaches('in-sync')
    expect(store.insert('old')).toBe(true)
    await until('the row is there', () => store.rows('new') === 4)
    expect(await rig.perform('compare')).toMatchObject({ result: { kind: 'compare', report: { equal: true } } })
    expect((await rig.status()).lastCompare).toMatchObject({ equal: true, results: [{ processed: 4 }] })

    const cutover = await rig.perform('cutover')
    expect(cutover).toMatchObject({ state: 'done', result: { kind: 'cutover', cutover: { outcome: 'committed' } } })
    expect(cutover.steps.map(({ state }) => state)).not.toContain('planned')
    expect(await rig.status()).toMatchObject({
      state: 'reversing',
      direction: 'reverse',
      next: 'rollback, or finalize',
    })
    expect([store.insert('old'), store.insert('new'), store.route, store.isHeld]).toEqual([false, true, 'new', false])
    await until('the row is on the old side', () => store.rows('old') === 5)

    expect(await rig.perform('rollback')).toMatchObject({ state: 'done' })
    expect(await rig.status()).toMatchObject({ state: 'rolled-back', direction: 'forward' })
    expect([store.insert('new'), store.insert('old'), store.route]).toEqual([false, true, 'old'])
    await until('the row is on the new side', () => store.rows('new') === 6)

    expect(await rig.perform('cutover')).toMatchObject({ state: 'done' })
    expect(await rig.perform('finalize')).toMatchObject({ state: 'done' })
    expect(await rig.status()).toMatchObject({ state: 'finalized', paused: null, mover: null, next: null })
    expect([store.has('old', 'fenced'), store.has('new', 'fenced')]).toEqual([true, false])
    expect([...store.marks('old', 'stream'), ...store.marks('new', 'stream')]).toEqual([])
  })

  test('a worker that is stopped as soon as a move has ended still tells its asker so', async () => {
    await using started = await startRig()
    const { rig, worker, store } = started
    store.setRows('old', 3)
    await rig.perform('start')
    await rig.reaches('in-sync')
    await rig.perform('cutover')
    const { id } = await rig.client.ask('finalize', 'ledger', { actor: 'test@rig' })
    await rig.reaches('finalized')
    const stopped = worker.stop()
    expect(await rig.ended(id)).toMatchObject({ state: 'done' })
    await stopped
  })

  test('a dry run prints the steps and takes none', async () => {
    await using started = await startRig()
    const { rig, store } = started
    const operation = await rig.client.ask('start', 'ledger', { actor: 'test@rig', dryRun: true })
    expect(operation).toMatchObject({ state: 'done', error: null })
    expect(operation.steps.map(({ name }) => name)).toEqual([
      'assess-stores',
      'assess-routing',
      'begin',
      'prepare',
      'load',
      'finish-load',
      'follow',
    ])
    expect(new Set(operation.steps.map(({ state }) => state))).toEqual(new Set(['planned']))
    expect(await rig.client.operation(operation.id)).toEqual(operation)
    expect([store.trace(), await rig.client.audit()]).toEqual([[], []])
  })

  test('a blocker stops the start, and the findings say which', async () => {
    await using started = await startRig()
    const { rig, store } = started
    store.mark('old', 'blocked')
    expect(await rig.perform('start')).toMatchObject({
      state: 'failed',
      error: { code: 'assessment.blocked', message: 'ledger: test.blocked must be resolved first.' },
      result: { findings: [{ id: 'test.blocked' }] },
    })
    expect(await rig.status()).toMatchObject({ state: 'planned', mover: null })
    store.unmark('old', 'blocked')
    expect(await rig.perform('start')).toMatchObject({ state: 'done' })
  })

  test('what a move is allowed holds at once, and for the next worker too', async () => {
    await using rig = await ControlRig.create()
    const worker = await startFileWorker(rig.options())
    const asked = { bytesPerSecond: 0, sourceSessions: 40 }
    const limits = { ...asked, replicaLagMs: null }
    const throttle = (body: object) => rig.client.ask('throttle', 'ledger', { actor: 'test@rig', ...body })
    await rig.perform('start')
    await rig.reaches('in-sync')
    expect((await rig.status()).limits).toEqual({ bytesPerSecond: null, sourceSessions: null, replicaLagMs: null })
    await expect(throttle({})).rejects.toMatchObject({ code: 'usage' })
    const { id } = await throttle({ limits: asked, reason: 'night window' })
    expect(await rig.ended(id)).toMatchObject({ state: 'done', error: null })
    expect((await rig.status()).limits).toEqual(limits)
    expect(await rig.client.audit()).toContainEqual(
      expect.objectContaining({ verb: 'throttle', outcome: 'asked', detail: 'night window' }),
    )
    await worker.stop()
    await using next = await startFileWorker(rig.options()).then((started) => ({
      [Symbol.asyncDispose]: () => started.stop(),
    }))
    expect(next).toBeDefined()
    expect((await rig.reaches('in-sync')).limits).toEqual(limits)
    await until('its mover was told, and follows', async () => (await rig.status()).follow !== null)
  })

  test('what makes no sense is refused, with its code, and stands in the audit log', async () => {
    await using started = await startRig()
    const { rig } = started
    const ask = (verb: 'cutover' | 'resume' | 'start', move = 'ledger') => rig.client.ask(verb, move, { actor: 'a@b' })
    await expect(ask('cutover')).rejects.toMatchObject({ code: 'cutover.not-ready' })
    await expect(ask('resume')).rejects.toMatchObject({ code: 'state.transition-refused' })
    await expect(ask('start', 'nowhere')).rejects.toMatchObject({ code: 'estate.unknown-move' })
    await expect(rig.client.operation('nothing')).rejects.toMatchObject({ code: 'operation.unknown' })
    const audit = await rig.client.audit()
    expect(audit.map(({ verb, outcome }) => `${verb} ${outcome}`)).toEqual([
      'cutover asked',
      'cutover refused',
      'resume asked',
      'resume refused',
      'start asked',
      'start refused',
    ])
    expect(audit[1]).toMatchObject({
      actor: 'a@b',
      move: 'ledger',
      detail: expect.stringContaining('cutover.not-ready'),
    })
  })

  test('pause stops the mover, resume goes on', async () => {
    await using started = await startRig()
    const { rig, store } = started
    await rig.perform('start')
    await rig.reaches('in-sync')
    expect(await rig.perform('pause')).toMatchObject({ state: 'done' })
    expect(await rig.status()).toMatchObject({
      state: 'in-sync',
      paused: { reason: 'test@rig paused it.', error: null },
      mover: null,
      next: 'resume',
    })
    store.insert('old')
    await expect(rig.client.ask('cutover', 'ledger', { actor: 'a@b' })).rejects.toMatchObject({
      code: 'cutover.not-ready',
    })
    expect(await rig.perform('resume')).toMatchObject({ state: 'done' })
    await until('the row is there', () => store.rows('new') === 1)
    expect(await rig.status()).toMatchObject({ paused: null })
  })

  test('cancel gives up the change stream and leaves the new side fenced; the move may start anew', async () => {
    await using started = await startRig()
    const { rig, store } = started
    await rig.perform('start')
    await rig.reaches('in-sync')
    expect(await rig.perform('cancel')).toMatchObject({ state: 'done' })
    expect(await rig.status()).toMatchObject({ state: 'cancelled', mover: null, paused: null })
    expect([store.marks('old', 'stream'), store.has('new', 'fenced'), store.has('old', 'fenced')]).toEqual([
      [],
      true,
      false,
    ])
    await rig.perform('start')
    await rig.reaches('in-sync')
  })

  test('one operation at a time, but a pause need not wait for a comparison', async () => {
    await using started = await startRig()
    const { rig, store } = started
    await rig.perform('start')
    await rig.reaches('in-sync')
    store.setFault('before compare-live', 'hang')
    const { id } = await rig.client.ask('compare', 'ledger', { actor: 'a@b' })
    await until('it compares', () => store.trace().includes('compare-live forward'))
    await expect(rig.client.ask('cutover', 'ledger', { actor: 'a@b' })).rejects.toMatchObject({
      code: 'operation.running',
    })
    expect(await rig.perform('pause')).toMatchObject({ state: 'done' })
    expect(await rig.ended(id)).toMatchObject({ state: 'failed', error: { code: 'operation.interrupted' } })
  })

  test('a cutover that fails before its decision leaves everything as it was', async () => {
    await using started = await startRig()
    const { rig, store } = started
    await rig.perform('start')
    await rig.reaches('in-sync')
    store.setFault('before settle', 'fence.timeout')
    const cutover = await rig.perform('cutover')
    expect(cutover).toMatchObject({
      state: 'failed',
      error: { code: 'fence.timeout' },
      result: { cutover: { outcome: 'aborted' } },
    })
    expect(cutover.steps.find(({ name }) => name === 'settle')).toMatchObject({ state: 'failed' })
    expect(cutover.steps.find(({ name }) => name === 'decide')).toMatchObject({ state: 'skipped' })
    expect(await rig.status()).toMatchObject({ state: 'in-sync', paused: null, lastCutover: { outcome: 'aborted' } })
    expect([store.insert('old'), store.insert('new'), store.route, store.isHeld]).toEqual([true, false, 'old', false])
    await until('the row is there', () => store.rows('new') === 1)
    expect(await rig.perform('cutover')).toMatchObject({ state: 'done' })
  })

  test('metrics show lag, state and rows', async () => {
    await using started = await startRig()
    const { rig, store } = started
    store.setRows('old', 7)
    await rig.perform('start')
    await until('it follows', async () => (await rig.status()).follow)
    const metrics = await rig.client.metrics()
    expect(metrics).toContain('replatform_move_state{move="ledger",state="in-sync"} 1')
    expect(metrics).toContain('replatform_move_loaded_rows{move="ledger"} 7')
    expect(metrics).toContain('replatform_move_lag_seconds{move="ledger"} 0')
  })

  test('a request that is not understood says why', async () => {
    await using started = await startRig()
    const bad = { actor: '', extra: 1 } as never
    await expect(started.rig.client.ask('start', 'ledger', bad)).rejects.toMatchObject({ code: 'usage' })
    await expect(started.rig.client.ask('explode' as never, 'ledger', { actor: 'a' })).rejects.toMatchObject({
      code: 'usage',
    })
  })
})

test('nobody listens', async () => {
  await using rig = await ControlRig.create()
  await expect(rig.client.status()).rejects.toMatchObject({ code: 'control.unreachable' })
})
