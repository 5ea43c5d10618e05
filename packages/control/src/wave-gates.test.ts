/**
 * Goal: a wave cuts over only while everything holds that the estate file wants, or when somebody answers for it; a
 * rehearsal measures without production feeling it.
 * Method: one file estate with every gate, closed and opened one after the other; production's own trace is read.
 */
import { expect, test, vi } from 'vitest'
import { predictPause } from './pause-prediction.ts'
import { until } from './test-fixtures/control-rig.ts'
import { moves, relational, WaveRig } from './test-fixtures/wave-rig.ts'

// Workers, movers and guards are processes: on a machine that is busy each takes seconds to start.
vi.setConfig({ testTimeout: 150_000 })

const day = 24 * 60 * 60 * 1_000
const at = (ms: number) => `${new Date(Date.now() + ms).toISOString().slice(0, 19)}Z`

const guarded = {
  ...relational,
  approver: 'head',
  window: { from: at(-day), to: at(day) },
  gates: { verifiedWithin: '1h', lagUnder: '10s', rehearsedWithin: '24h', noOpenIncident: 'severe' as const },
}

test('each gate holds the wave back with its reason, until it is seen to', async () => {
  await using rig = await WaveRig.inSync({ waves: [guarded] })
  const { client } = rig.control
  const states = async () => Object.fromEntries((await rig.wave()).gates.map(({ name, state }) => [name, state]))
  const { id } = await client.openIncident({ actor: 'a@b', severity: 'severe', title: 'refunds are late' })
  expect(await states()).toEqual({
    verified: 'closed',
    rehearsed: 'closed',
    incidents: 'closed',
    lag: 'holds',
    window: 'holds',
    approval: 'closed',
  })
  const refused = await rig.perform('cutover')
  const reasons = /ledger was never compared.*never rehearsed.*refunds are late.*head has not approved/
  expect(refused).toMatchObject({ state: 'failed', error: { code: 'gate.closed', message: reasons } })
  await rig.reach('in-sync')

  for (const move of moves) await rig.control.perform('compare', move)
  await client.closeIncident(id, { actor: 'a@b' })
  await expect(client.closeIncident(id, { actor: 'a@b' })).rejects.toMatchObject({ code: 'incident.unknown' })
  const stranger = client.approve('relational', { actor: 'somebody@rig' })
  await expect(stranger).rejects.toMatchObject({ code: 'gate.not-approver', message: /head; you are somebody@rig/ })
  await client.approve('relational', { actor: 'head@office' })
  expect(await rig.perform('rehearse')).toMatchObject({ state: 'done', error: null })
  expect(new Set(Object.values(await states()))).toEqual(new Set(['holds']))

  const dry = await rig.ask('cutover', { dryRun: true })
  expect(dry.result).toMatchObject({ kind: 'preview', prediction: { ms: expect.any(Number) } })
  expect(await rig.perform('cutover')).toMatchObject({
    state: 'done',
    result: { cutover: { predictedMs: expect.any(Number), pauseMs: expect.any(Number) } },
  })
  await rig.expectOpen('new')
  // The way back has no gates; the next way over wants another approval.
  expect(await rig.perform('rollback')).toMatchObject({ state: 'done' })
  expect(await states()).toMatchObject({ approval: 'closed', rehearsed: 'holds' })
  await rig.reach('rolled-back')
})

test('an override needs a reason, and stands in the audit log with what did not hold', async () => {
  await using rig = await WaveRig.inSync({ waves: [{ ...relational, window: { from: at(-2 * day), to: at(-day) } }] })
  await expect(rig.ask('cutover', { override: true })).rejects.toMatchObject({ code: 'usage' })
  expect(await rig.perform('cutover', { override: true, reason: 'the bank waits' })).toMatchObject({ state: 'done' })
  const audit = await rig.control.client.audit()
  expect(audit.find(({ verb }) => verb === 'override')).toMatchObject({
    actor: 'test@rig',
    move: 'wave relational',
    detail: expect.stringMatching(/window: it is over.*Reason: the bank waits/),
  })
})

test('a rehearsal exercises copies and targets; production is neither held nor fenced, and nothing of it stays', async () => {
  await using rig = await WaveRig.inSync()
  const rehearsal = await rig.perform('rehearse')
  expect(rehearsal).toMatchObject({
    state: 'done',
    result: { kind: 'rehearsal', report: { passed: true, problems: [] } },
  })
  const steps = rehearsal.steps.map(({ name, state }) => `${name} ${state}`)
  expect(steps).toEqual(expect.arrayContaining(['hold done', 'drain done', 'raise-epoch done', 'fence skipped']))
  for (const store of moves.map((move) => rig.store(move))) {
    const traced = store.trace().map((line) => line.split(' ')[0])
    expect(traced).toEqual(expect.arrayContaining(['barrier', 'raiseEpoch', 'settle', 'markStart', 'recordDecision']))
    expect(traced.filter((verb) => ['hold', 'fence', 'unfence', 'point', 'release'].includes(verb ?? ''))).toEqual([])
    expect([store.has('old', 'fenced'), store.has('new', 'fenced'), store.isHeld]).toEqual([false, true, false])
    expect(store.has('new', 'stream-reverse')).toBe(false)
    expect(store.insert('old')).toBe(true)
    await until('following goes on', () => store.rows('new') === 4)
  }
  expect(rig.control.store('ledger-copy').trace()).toEqual(expect.arrayContaining(['hold routing', 'release routing']))
  await rig.reach('in-sync')
  expect((await rig.wave()).lastRehearsal).toMatchObject({ passed: true })

  rig.store('merchants').setFault('before settle', 'connection.lost')
  const failed = await rig.perform('rehearse')
  expect(failed).toMatchObject({ state: 'failed', error: { code: 'connection.lost' } })
  expect((await rig.wave()).lastRehearsal).toMatchObject({ passed: false, problems: [/connection\.lost/] })
  expect(await rig.perform('cutover')).toMatchObject({ state: 'done' })
  await rig.expectOpen('new')
})

test('the pause is predicted from what was measured; what is late now counts, and a guess says that it is one', () => {
  expect(predictPause({ rehearsed: [], taken: [], lagMs: 5 })).toBeNull()
  const rehearsed = [
    { step: 'drain', ms: 20, note: '' },
    { step: 'settle', ms: 7, note: '' },
    { step: 'fence', ms: null, note: '' },
  ]
  const settled = { name: 'settle', description: '', state: 'done' as const, startedAt: null, ms: 9 }
  const prediction = predictPause({ rehearsed, taken: [settled], lagMs: 250 })
  const parts = Object.fromEntries(prediction?.parts.map(({ step, ms, by }) => [step, `${ms} ${by}`]) ?? [])
  expect(parts).toMatchObject({
    'drain': '250 lag now',
    'settle': '9 last cutover',
    'fence': '100 guess, not measured',
  })
  expect(prediction?.ms).toBe(prediction?.parts.reduce((sum, { ms }) => sum + ms, 0))
})
