/**
 * Goal: a source that is older than users is fenced all the same: a whole cutover loses nothing that was acknowledged,
 * the fence outlasts a restart and gives back what was set before, what passes it ends the cutover, and what arrives late
 * opens nothing.
 */
import { flipSides } from '@replatform/testkit/flip-sides'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startRedis } from '@replatform/testkit/redis-server'
import { expect, test } from 'vitest'
import { type Connection, openConnection } from './connection.ts'
import { fenceSide, requireFenced, unfenceSide } from './fence.ts'
import { openLate } from './test-fixtures/late-command.ts'
import { moverUser } from './test-fixtures/move-rig.ts'
import { startMover } from './test-fixtures/start-mover.ts'

const log = { info() {}, warn() {}, error() {} }

test.each(['3.2', '5.0'] as const)(
  'a cutover from Redis %s under a writer',
  async (version) => {
    await using old = await startRedis({ version, settings: { 'repl-backlog-size': '16mb' } })
    await using fresh = await startRedis({ acl: [moverUser] })
    const urls = { source: old.url(), target: fresh.url('mover', 'mover-secret') }
    await using mover = await startMover('old', urls)
    const run = mover.client.call('run', { direction: 'forward', state: 'planned' })
    run.catch(() => {})
    await mover.waitFor((e) => e.event === 'follow' && e.progress.lagMs < 1_000)
    let acknowledged = 0
    const writing = (async () => {
      await using app = await openAsApplication(urls.source)
      for (let n = 1; ; n++) {
        await app.command('SET', 'counter', n)
        acknowledged = n
      }
    })().catch((thrown) => thrown as Error)
    await pollUntil('writes flow', () => acknowledged > 100)
    const outcome = await flipSides({ mover, direction: 'forward' })
    expect(outcome.error).toBeNull()
    expect((await writing).message).toMatch(/broke|Not enough/i)
    await using onNew = await openConnection({ url: urls.target, side: 'target' })
    expect(Number(String(await onNew.command('GET', 'counter')))).toBe(acknowledged)

    await mover.client.call('cleanUp', { direction: 'forward', scope: 'everything' })
    await mover.client.call('cleanUp', { direction: 'reverse', scope: 'everything' })
    expect(await onNew.command('KEYS', 'replatform*')).toEqual([])
    await old.stop()
    await old.restart()
    await using again = await openConnection({ url: urls.source, side: 'source' })
    await expect(again.command('SET', 'late', 1)).rejects.toThrow(/NOREPLICAS/)
  },
  90_000,
)

test('the fence is put up twice, taken off once, and gives back what was set before', async () => {
  await using old = await startRedis({ version: '5.0', settings: { 'min-slaves-max-lag': '0' } })
  await using connection = await openConnection({ url: old.url(), side: 'source' })
  await using app = await openAsApplication(old.url())
  await app.pipeline([['MULTI'], ['SET', 'queued', 1]])
  const fence = { connection, move: 'm', turn: 1, withinMs: 1_000, log }
  await fenceSide(fence)
  await fenceSide(fence)
  await requireFenced(connection)
  await expect(app.command('EXEC')).rejects.toMatchObject({ code: 'connection.lost' })
  await unfenceSide(fence)
  await unfenceSide(fence)
  await expect(requireFenced(connection)).rejects.toMatchObject({ code: 'redis.fence-lifted' })
  expect(await connection.command('EXISTS', 'queued')).toBe(0)
  const settings = (await connection.command('CONFIG', 'GET', 'min-slaves-*')) as Buffer[]
  expect(settings.map(String)).toEqual(expect.arrayContaining(['min-slaves-to-write', '0', 'min-slaves-max-lag', '0']))
  expect(await connection.command('SET', 'open', 1)).toBe('OK')
})

test.each(['SET\r\n$19\r\nmin-slaves-to-write', 'SETNAME'])(
  'an unfencing that hangs from %j on opens nothing that was fenced since',
  async (from) => {
    await using old = await startRedis({ version: '5.0' })
    await using late = await openLate(old.url(), from)
    await using connection = await openConnection({ url: old.url(), side: 'source' })
    const fence = { connection, move: 'm', turn: 1, withinMs: 1_000, log }
    await fenceSide(fence)
    const givenUp = unfenceSide({ ...fence, connection: late.connection }).catch((thrown) => thrown)
    await late.sent
    await unfenceSide(fence)
    await fenceSide({ ...fence, turn: 2 })
    await late.arrive()
    expect(await givenUp).toMatchObject({ code: from === 'SETNAME' ? 'fence.superseded' : 'connection.lost' })
    await expect(fenceSide(fence)).rejects.toMatchObject({ code: 'fence.superseded' })
    await requireFenced(connection)
    await unfenceSide({ ...fence, turn: 2 })
    const settings = (await connection.command('CONFIG', 'GET', 'min-slaves-*')) as Buffer[]
    expect(settings.map(String)).toEqual(
      expect.arrayContaining(['min-slaves-to-write', '0', 'min-slaves-max-lag', '10']),
    )
  },
)

test('a script behind the barrier ends the cutover before its decision', async () => {
  await using old = await startRedis({ version: '5.0', settings: { 'repl-backlog-size': '16mb' } })
  await using fresh = await startRedis({ acl: [moverUser] })
  const urls = { source: old.url(), target: fresh.url('mover', 'mover-secret') }
  await using mover = await startMover('old', urls)
  mover.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await mover.waitFor((e) => e.event === 'follow' && e.progress.lagMs < 1_000)
  const raiseEpoch = async () => {
    await using app = await openAsApplication(urls.source)
    await app.command('EVAL', "return redis.call('SET', 'past', 'the fence')", 0)
    return mover.client.call('raiseEpoch', { direction: 'forward' })
  }
  const outcome = await flipSides({ mover, direction: 'forward', overrides: { raiseEpoch } })
  expect(outcome.decision.outcome).toBe('aborted')
  expect(outcome.error?.code).toMatch(/redis\.fence-lifted|cutover\.differences/)
  await using app = await openAsApplication(urls.source)
  expect(await app.command('SET', 'open', 'again')).toBe('OK')
}, 60_000)

/** Under no name that the mover has. */
async function openAsApplication(url: string): Promise<Connection> {
  const connection = await openConnection({ url, side: 'source' })
  await connection.command('CLIENT', 'SETNAME', 'application')
  return connection
}
