/**
 * Goal: a source that lets nobody replicate moves all the same, says what that means, and ends with both sides equal:
 * every type and database, what notifications do not tell, and what was written while nobody listened.
 */
import { flipSides } from '@replatform/testkit/flip-sides'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'
import { appUser, Following, loadMove, type MoveRig, startMoveRig } from './test-fixtures/move-rig.ts'
import { startMover } from './test-fixtures/start-mover.ts'

let rig: MoveRig
let app: Connection

beforeAll(async () => {
  rig = await startMoveRig({
    source: { acl: ['mover on >mover-secret ~* &* +@all -psync', appUser] },
    target: { engine: 'valkey' },
  })
  app = await rig.openApp('source')
})
afterAll(() => rig[Symbol.asyncDispose]())
beforeEach(async () => {
  await app.command('FLUSHALL')
  await using target = await rig.openAll('target')
  await target.command('FLUSHALL')
  await using source = await rig.openAll('source')
  await source.command('CONFIG', 'SET', 'notify-keyspace-events', '')
})

const level = (following: Following) =>
  pollUntil('all known changes are copied', () => {
    if (following.failure) throw following.failure
    return (following.latest?.lagMs ?? 1_000) < 1_000 && following.latest?.lagBytes === 0
  })

test('it is told, loads every type, follows, and leaves the settings as they were', async () => {
  await fillAllTypes(app)
  await using mover = rig.createMover()
  const findings = (await mover.assess()).map(({ id, severity }) => `${severity} ${id}`)
  expect(findings).toEqual(expect.arrayContaining(['risk redis.copied-by-key', 'note redis.notifications-off']))
  await loadMove(mover)
  await using following = new Following(mover)
  await app.command('SET', 'string:plain', 'changed')
  await app.command('RENAME', 'list:small', 'list:renamed')
  await app.command('PEXPIRE', 'string:deadline', 5_000_000)
  await app.command('XADD', 'stream', '*', 'after', 'load')
  await level(following)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.results).toMatchObject([
    { name: 'db0', mismatched: 0, missing: 0, extra: 0 },
    { name: 'db3', mismatched: 0, missing: 0, extra: 0, matching: 3 },
  ])
  expect(report.results[0]?.matching).toBe(Number(await app.command('DBSIZE')))
  await using target = await rig.openAll('target')
  expect(await target.command('PEXPIRETIME', 'string:deadline')).toBe(
    await app.command('PEXPIRETIME', 'string:deadline'),
  )
  expect(String(await target.command('FCALL', 'f', 0))).toBe('1')
  await following.stop()
  await mover.unfence('target', { turn: 1 })
  await mover.cleanUp('everything')
  await using source = await rig.openAll('source')
  expect(String((await source.command('CONFIG', 'GET', 'notify-keyspace-events')) as Buffer[])).toBe(
    'notify-keyspace-events,',
  )
  expect(await target.command('KEYS', 'replatform*')).toEqual([])
})

test('a move that began by replication does not go on by copying', async () => {
  await app.command('SET', 'session', 'kept', 'PX', 600_000)
  await using all = await rig.openAll('source')
  await all.command('ACL', 'SETUSER', 'mover', '+psync')
  await using mover = rig.createMover()
  await loadMove(mover)
  await all.command('ACL', 'SETUSER', 'mover', '-psync')
  await using later = rig.createMover()
  await expect(new Following(later).ended).rejects.toMatchObject({ code: 'redis.replication-refused' })
  await later.unfence('target', { turn: 1 })
})

test('killed in the middle, flushed unheard, and cut over under a live writer', async () => {
  for (let i = 0; i < 20_000; i += 1_000) {
    await app.pipeline(Array.from({ length: 1_000 }, (_, k) => ['SET', `seed:${i + k}`, 'v'.repeat(200)]))
  }
  const first = await startMover('copied', rig.urls)
  first.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await first.waitFor((e) => e.event === 'state' && e.state === 'in-sync')
  await first.kill()
  await app.command('FLUSHALL')
  await app.command('SET', 'after', 1)
  await app.command('XADD', 'stream', '1-1', 'a', 'b')
  await app.command('XGROUP', 'CREATE', 'stream', 'workers', '0')
  await using second = await startMover('copied', rig.urls)
  second.client.call('run', { direction: 'forward', state: 'in-sync' }).catch(() => {})
  await second.waitFor((e) => e.event === 'follow' && e.progress.lagMs < 1_000)

  // No notification tells what consumers do with a stream.
  await app.command('XREADGROUP', 'GROUP', 'workers', 'ann', 'STREAMS', 'stream', '>')
  let last = 0
  const write = async () => {
    await using writer = await rig.openApp('source')
    for (let i = 1; ; i++) {
      const [reply] = await writer.pipeline([['SET', 'counter', i, 'PX', 900_000]])
      if (reply instanceof Error) return
      last = i
    }
  }
  const writing = write().catch(() => {})
  await pollUntil('writes flow', () => last > 100)
  const { decision, error } = await flipSides({ mover: second, direction: 'forward', budgetMs: 20_000 })
  await writing
  expect(error).toBeNull()
  expect(decision.outcome).toBe('committed')
  await using onNew = await rig.openApp('target')
  expect(Number(String(await onNew.command('GET', 'counter')))).toBe(last)
  expect(Number(await onNew.command('PTTL', 'counter'))).toBeLessThanOrEqual(900_000)
  expect(await onNew.command('EXISTS', 'seed:1', 'after')).toBe(1)
  const [pending] = (await onNew.command('XPENDING', 'stream', 'workers')) as [number]
  expect(pending).toBe(1)
  await onNew.command('SET', 'new', 1)
})
