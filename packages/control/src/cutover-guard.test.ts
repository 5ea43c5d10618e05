/**
 * Goal: a worker that dies or hangs while writes are held does not leave them held: the guard ends the cutover, and a
 * worker that comes later finds one outcome. Method: real processes; the worker is killed or stopped at named points.
 */
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { ControlRig, childrenOf, until } from './test-fixtures/control-rig.ts'

async function inSync() {
  const rig = await ControlRig.create()
  const store = rig.store()
  store.setRows('old', 3)
  const worker = await rig.fork({ ...rig.options(), isGuarded: true })
  await rig.perform('start')
  await rig.reaches('in-sync')
  return { rig, store, worker, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() }
}

test.each([
  ['after hold', 'crash', 'old', 'in-sync'],
  ['after fence', 'crash-parent', 'old', 'in-sync'],
  ['after markStart', 'crash-parent', 'old', 'in-sync'],
  ['before recordDecision', 'crash-parent', 'new', 'reversing'],
  ['after unfence', 'crash-parent', 'new', 'reversing'],
] as const)(
  'killed %s, and nobody starts another: the guard opens a side by itself',
  // Three processes and an embedded database are started for each; a machine that is busy takes its time.
  { timeout: 180_000 },
  async (point, fault, open, state) => {
    await using started = await inSync()
    const { rig, store, worker } = started
    const died = once(worker, 'exit')
    store.setFault(point, fault)
    await rig.client.ask('cutover', 'ledger', { actor: 'test@rig' })
    await died

    const other = open === 'old' ? 'new' : 'old'
    await until('writes go through', () => !store.isHeld && store.route === open && !store.has(open, 'fenced'))
    expect([store.insert(open), store.insert(other)]).toEqual([true, false])

    await rig.fork()
    expect(await rig.reaches(state)).toMatchObject({ paused: null })
    await until('both sides are level', () => store.rows('old') === store.rows('new'))
    expect([store.insert(open), store.insert(other)]).toEqual([true, false])
  },
)

test('a guard that dies beside a living worker is told as a severe incident; the cutover goes on', async () => {
  await using started = await inSync()
  const { rig, store, worker } = started
  store.setFault('after fence', 'hang')
  const { id } = await rig.client.ask('cutover', 'ledger', { actor: 'test@rig' })
  await until('the old side is fenced', () => store.has('old', 'fenced'))
  for (const pid of await childrenOf(worker.pid ?? 0, 'file-guard-main')) process.kill(pid, 'SIGKILL')
  const [incident] = await until('the alarm is raised', async () => {
    const open = await rig.client.incidents()
    return open.length > 0 ? open : undefined
  })
  expect(incident).toMatchObject({ severity: 'severe', title: expect.stringContaining('guard') })
  store.setFault('after fence', null)
  await rig.ended(id)
})

test('a worker that hangs is overruled at the budget, and does as was decided when it wakes up', async () => {
  await using started = await inSync()
  const { rig, store, worker } = started
  store.setFault('after fence', 'hang')
  const { id } = await rig.client.ask('cutover', 'ledger', { actor: 'test@rig' })
  await until('the old side is fenced', () => store.has('old', 'fenced'))
  worker.kill('SIGSTOP')
  await until('writes go through', () => !store.isHeld && !store.has('old', 'fenced'))
  expect([store.insert('old'), store.insert('new')]).toEqual([true, false])

  store.setFault('after fence', null)
  worker.kill('SIGCONT')
  expect(await rig.ended(id)).toMatchObject({ state: 'failed' })
  expect(await rig.reaches('in-sync')).toMatchObject({ paused: null, lastCutover: { outcome: 'aborted' } })
  await until('the old side is open', () => !store.has('old', 'fenced') && !store.isHeld)
})
