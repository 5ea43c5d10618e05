/** Goal: a whole cutover under live writes: bounded, nothing lost, each deadline kept, and an abort leads back. */

import type { Decision, Mover } from '@replatform/core/connector'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import { redisRoute } from './route.ts'
import { cutOverMove } from './test-fixtures/cut-over.ts'
import { Following, loadMove, type MoveRig, startMoveRig } from './test-fixtures/move-rig.ts'

let rig: MoveRig
let app: Connection

beforeEach(async () => {
  rig = await startMoveRig()
  app = await rig.openApp('source')
})
afterEach(() => rig[Symbol.asyncDispose]())

function openBack(): Mover {
  const { source, target } = rig.urls
  const log = { info() {}, warn() {}, error() {} }
  const sides = { source: { kind: 'redis', url: target }, target: { kind: 'redis', url: source } } as const
  return redisRoute.open({ move: 'cache', direction: 'reverse', ...sides, tools: {}, workers: 1, log })
}

const runCutover = (mover: Mover, following: Following, outcome: Decision['outcome']) =>
  cutOverMove({ rig: { createMover: openBack }, mover, following, outcome })

test('what was acknowledged before is there afterwards, with the same deadlines, and the old side is closed', async () => {
  await app.command('SET', 'session', 'kept', 'PX', 600_000)
  await app.command('SET', 'short', 'gone', 'PX', 150)
  const deadline = await app.command('PEXPIRETIME', 'session')
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  let last = 0
  const writing = (async () => {
    for (let i = 1; ; i++) {
      try {
        await app.command('SET', 'counter', i)
        last = i
      } catch {
        return
      }
    }
  })()
  await following.catchUp(await rig.openAll('source'))
  const { decision, error } = await runCutover(mover, following, 'committed')
  await writing
  expect(error).toBeNull()
  expect(decision.outcome).toBe('committed')
  await using onNew = await rig.openApp('target')
  expect(Number(String(await onNew.command('GET', 'counter')))).toBe(last)
  expect(await onNew.command('PEXPIRETIME', 'session')).toBe(deadline)
  await onNew.command('SET', 'new', 1)
  await expect(rig.openApp('source').then((old) => old.command('SET', 'old', 1))).rejects.toMatchObject({
    code: 'auth.missing-rights',
  })
  for (let isThere = 1; isThere === 1; ) isThere = Number(await onNew.command('EXISTS', 'short'))
})

test('after an abort the source is written again and the flow goes on from where it was', async () => {
  await app.command('SET', 'session', 'kept', 'PX', 600_000)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await following.catchUp(app)
  const { decision } = await runCutover(mover, following, 'aborted')
  expect(decision.outcome).toBe('aborted')
  await using again = await rig.openApp('source')
  await again.command('PEXPIRE', 'session', 700_000)
  await again.command('SET', 'after', 1, 'PX', 500_000)
  await using more = new Following(mover)
  await more.catchUp(again)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.results).toMatchObject([{ matching: 2, mismatched: 0, missing: 0, extra: 0 }])
  await expect(rig.openApp('target').then((closed) => closed.command('SET', 'x', 1))).rejects.toMatchObject({
    code: 'auth.missing-rights',
  })
})

test('a key that lapsed on the target after an abort, and was renewed on the source, comes back', async () => {
  await app.command('SET', 'code', 'kept', 'PX', 500_000)
  await app.command('HSET', 'basket', 'a', 1, 'b', 2)
  await app.command('PEXPIRE', 'basket', 500_000)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await following.catchUp(app)
  await runCutover(mover, following, 'aborted')
  await using again = await rig.openApp('source')
  await again.command('PEXPIRE', 'code', 600_000)
  await again.command('PEXPIRE', 'basket', 600_000)
  // The target has its own deadlines since it was settled, and these come before the renewals do.
  await using target = await rig.openAll('target')
  await target.pipeline(['code', 'basket'].map((key) => ['PEXPIRE', key, 1]))
  await pollUntil('they lapse on the target', async () => (await target.command('EXISTS', 'code', 'basket')) === 0)
  await again.command('HSET', 'basket', 'c', 3)
  await using more = new Following(mover)
  await more.catchUp(again)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.results).toMatchObject([{ matching: 2, mismatched: 0, missing: 0, extra: 0 }])
})
