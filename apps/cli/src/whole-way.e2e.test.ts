/**
 * Goal: a person comes all the way with the verbs of the command line, each dry run prints the very steps and changes
 * nothing, and a move that was given up or finalized leaves behind only what is promised.
 * Method: real servers, PgBouncer and payments all the time; what is left is read from the servers' catalogues.
 */
import type { AuditEntry, AuditVerification, OperationVerb } from '@replatform/control/api-types'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { move } from './test-fixtures/cli-rig.ts'
import { fingerprint, traces } from './test-fixtures/fingerprint.ts'
import { PaymentsStage } from './test-fixtures/payments-stage.ts'
import { database } from './test-fixtures/wallet-servers.ts'

// Each command is a process of its own, and every verb is called twice.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

let stage: PaymentsStage

beforeAll(async () => {
  stage = await PaymentsStage.open()
  await stage.rig.worker()
})
afterAll(() => stage[Symbol.asyncDispose]())

/** Dry first, which must change nothing; then in earnest, by the same steps. */
async function perform(verb: OperationVerb): Promise<void> {
  const [before, status] = [await catalogues(), await stage.rig.status()]
  const dry = await stage.rig.json(verb, move, '--dry-run')
  expect([dry.code, new Set(dry.document.steps.map(({ state }) => state))]).toEqual([0, new Set(['planned'])])
  expect(await catalogues()).toEqual(before)
  expect(await stage.rig.status()).toMatchObject({ state: status.state, paused: status.paused })

  const done = await stage.rig.json(verb, move, '--reason', 'a test')
  expect(done.document.error ?? null, done.err).toBeNull()
  expect(done.code).toBe(0)
  const names = ({ steps }: typeof dry.document) => steps.map(({ name }) => name)
  expect(names(done.document)).toEqual(names(dry.document))
}

/** Rows are left out: payments go on. */
async function catalogues(): Promise<string[]> {
  const sides = [stage.old, stage.fresh.server]
  const lines = await Promise.all(sides.map((server) => fingerprint(server, database)))
  return lines.flat().filter((line) => !line.startsWith('rows '))
}

async function start(): Promise<void> {
  const dry = await stage.rig.json('start', move, '--dry-run')
  expect(dry.document.steps.map(({ name }) => name)).toContain('load')
  const { code, err } = await stage.rig.run('start', move, '--until', 'in-sync')
  expect(code, err).toBe(0)
}

test('a start does what its dry run says, and a dry run does nothing', async () => {
  const before = await catalogues()
  expect((await stage.rig.run('start', move, '--dry-run')).out).toMatch(/none was taken:\s+1\. assess-stores/)
  expect(await catalogues()).toEqual(before)
  expect(await stage.rig.run('assess', move)).toMatchObject({ code: 0 })
  expect(await catalogues()).toEqual(before)
  await start()
  expect(await stage.rig.status()).toMatchObject({ state: 'in-sync', next: 'cutover' })
})

test('a throttled move falls behind, and is level again once its limits are off', async () => {
  expect(await stage.rig.json('throttle', move, '--rate', '0')).toMatchObject({ code: 0 })
  await stage.rig.until('it falls behind', ({ limits, follow }) => {
    return limits.bytesPerSecond === 0 && (follow?.lagMs ?? 0) > 1_500
  })
  expect(await stage.rig.json('throttle', move, '--off')).toMatchObject({ code: 0 })
  await stage.rig.until('it is level', ({ limits, state, follow }) => {
    return limits.bytesPerSecond === null && state === 'in-sync' && (follow?.lagMs ?? Number.POSITIVE_INFINITY) < 1_000
  })
})

test('a paused move stands still and goes on', async () => {
  await perform('pause')
  expect(await stage.rig.status()).toMatchObject({ mover: null, next: 'resume' })
  await stage.paysOn()
  await perform('resume')
  await stage.rig.until('it follows', ({ state, follow }) => state === 'in-sync' && (follow?.rows ?? 0) > 0)
  await perform('compare')
})

test('a cancelled move leaves nothing on the old side, and its copy fenced on the new one', async () => {
  await perform('cancel')
  expect(await traces(stage.old, database)).toEqual([])
  expect(await stage.fenceState('new')).toBe('fenced')
  await stage.paysOn()

  const again = await stage.rig.json('start', move)
  expect([again.code, again.document.error?.code]).toEqual([3, 'assessment.blocked'])
  await stage.emptyNewSide()
  await start()
})

test('over, back, over again, and to the end: only the fence of the old side stays', async () => {
  await perform('cutover')
  await stage.expectOpen('new')
  await perform('rollback')
  await stage.expectOpen('old')
  await perform('cutover')
  await stage.expectOpen('new')
  await stage.expectNothingLost()

  await perform('finalize')
  expect(await traces(stage.fresh.server, database)).toEqual([])
  const left = await traces(stage.old, database)
  expect(left).toContain('schema replatform {postgres=UC/postgres}')
  expect(left.filter((line) => !/fence|refuse_|^schema /.test(line))).toEqual([])
  expect(await stage.rig.status()).toMatchObject({ state: 'finalized', next: null, mover: null })
})

test('the audit log lists all of it, with who asked and why', async () => {
  const { document } = await stage.rig.json<{ entries: AuditEntry[] }>('audit')
  const asked = document.entries.filter(({ outcome }) => outcome === 'asked').map(({ verb }) => verb)
  expect(asked).toEqual([
    ...['assess', 'start', 'throttle', 'throttle', 'pause', 'resume', 'compare', 'cancel', 'start', 'start'],
    ...['cutover', 'rollback', 'cutover', 'compare', 'finalize'],
  ])
  const reasons = new Set(document.entries.filter(({ detail }) => detail === 'a test').map(({ verb }) => verb))
  expect(reasons).toEqual(new Set(['pause', 'resume', 'compare', 'cancel', 'cutover', 'rollback', 'finalize']))
  expect(document.entries.every(({ actor }) => actor.includes('@'))).toBe(true)
  expect(new Set(document.entries.map(({ origin }) => origin))).toEqual(new Set(['local socket', 'worker']))
  const { document: verification } = await stage.rig.json<AuditVerification>('audit', 'verify')
  expect(verification).toMatchObject({ intact: true, entries: document.entries.length, problems: [] })
})
