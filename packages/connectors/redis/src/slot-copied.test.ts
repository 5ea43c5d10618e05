/**
 * Goal: a cluster that lets nobody replicate moves to one as ElastiCache offers it, and could be gone back to: every type
 * is loaded by its key, followed by what notifications tell, and the cutover and its way back end equal.
 * Method: real clusters; on the new side every user is refused what ElastiCache refuses.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { expect, test, vi } from 'vitest'
import { cutOverMove } from './test-fixtures/cut-over.ts'
import { appUser, loadMove, moverUser } from './test-fixtures/move-rig.ts'
import { Returning } from './test-fixtures/returning.ts'
import { SlotClient, startSlotRig } from './test-fixtures/slot-rig.ts'

vi.setConfig({ testTimeout: 180_000 })

test('loaded by key, followed by notifications, cut over, and followed back', async () => {
  await using rig = await startSlotRig({
    source: { cluster: { acl: [`${moverUser} -psync`, appUser] } },
    // Nobody can switch notifications on there by command: its parameter group has them.
    target: { cluster: { engine: 'valkey', flavour: 'elasticache', settings: { 'notify-keyspace-events': 'EA' } } },
  })
  await using app = await rig.openApp('source')
  const deadline = Date.now() + 3_600_000
  await app.pipeline([
    ...Array.from({ length: 500 }, (_, i) => ['SET', `session:${i}`, i, 'PXAT', deadline + i]),
    ['HSET', 'hash', 'a', 1],
    ['RPUSH', 'list', ...Array.from({ length: 900 }, (_, i) => i)],
    ['ZADD', 'zset', 1.5, 'a', 2, 'b'],
    ['XADD', 'stream', '1-1', 'a', 'b'],
    ['SET', 'huge', Buffer.alloc(18 << 20, 'abc'), 'PXAT', deadline],
  ])
  await app.of('stream').command('XGROUP', 'CREATE', 'stream', 'group', '0')
  await using mover = rig.createMover()
  const found = (await mover.assess()).map(({ id, severity }) => `${severity} ${id}`)
  expect(found.filter((each) => each.startsWith('blocker'))).toEqual([])
  expect(found).toContain('risk redis.copied-by-key')
  await loadMove(mover)
  await using over = new Returning(mover)
  await over.level()
  await app.pipeline([
    ...Array.from({ length: 100 }, (_, i) => ['PEXPIREAT', `session:${i}`, deadline + 60_000 + i]),
    ['DEL', 'session:499'],
    ['XADD', 'stream', '2-1', 'c', 'd'],
    ['RENAME', 'list', '{list}:renamed'],
    ['SET', 'after', 'load'],
  ])
  await app.of('stream').command('XREADGROUP', 'GROUP', 'group', 'ann', 'COUNT', 1, 'STREAMS', 'stream', '>')
  await over.level()
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.equal, JSON.stringify(report.results)).toBe(true)
  const { error, decision } = await cutOverMove({ rig, mover, following: over, outcome: 'committed' })
  expect(error).toBeNull()
  expect(decision.outcome).toBe('committed')

  await using fresh = await SlotClient.open(rig.urls.target)
  expect(await fresh.command('PEXPIRETIME', 'session:7')).toBe(deadline + 60_007)
  expect(await fresh.command('EXISTS', 'session:499')).toBe(0)
  expect(await fresh.command('STRLEN', 'huge')).toBe(18 << 20)
  expect(((await fresh.command('XPENDING', 'stream', 'group')) as unknown[])[0]).toBe(1)

  await using back = rig.createMover('reverse')
  await back.prepare({ load: false })
  await back.markStart()
  await using returning = new Returning(back)
  await returning.level()
  await fresh.pipeline([
    ['SET', 'only', 'new', 'PXAT', deadline],
    ['DEL', 'session:1'],
  ])
  await returning.level()
  await using old = await SlotClient.open(rig.urls.source)
  await pollUntil('the old side has it', async () => (await old.command('EXISTS', 'only')) === 1)
  const ended = await back.compare({ scope: 'all', at: 'live' })
  expect(ended.equal, JSON.stringify(ended.results)).toBe(true)
})
