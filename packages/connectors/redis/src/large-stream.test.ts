/**
 * Goal: a stream that is too large to be held crosses with its groups and what is pending, is compared page by page, and
 * is copied page by page where nobody may replicate.
 */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { controlKeys } from './control-keys.ts'
import { lowered } from './deadline.ts'
import { EpochWriter } from './epoch-writer.ts'
import { copyLarge } from './large-copy.ts'
import { isSameStream } from './stream-compare.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'
import { Following, loadMove, startMoveRig } from './test-fixtures/move-rig.ts'
import { SlotClient, startSlotRig } from './test-fixtures/slot-rig.ts'
import { digestPayload } from './value-digest.ts'

const entryBytes = 64 * 1024

/** Entries that do not compress, a group, entries that are pending, and one that is pending and deleted. */
function streamOf(key: string, megabytes: number): Argument[][] {
  const count = (megabytes * 1024 * 1024) / entryBytes
  const entries = Array.from({ length: count }, (_, i) => ['XADD', key, `${i + 1}-1`, 'v', randomBytes(entryBytes)])
  return [
    ...entries,
    ['XGROUP', 'CREATE', key, 'workers', 0],
    ['XREADGROUP', 'GROUP', 'workers', 'ann', 'COUNT', 5, 'STREAMS', key, '>'],
    ['XREADGROUP', 'GROUP', 'workers', 'bob', 'COUNT', 5, 'STREAMS', key, '>'],
    ['XACK', key, 'workers', '2-1'],
    ['XDEL', key, '3-1', '4-1', '20-1'],
    ['XGROUP', 'CREATECONSUMER', key, 'workers', 'idle'],
  ]
}

async function fill(client: Pick<Connection, 'pipeline'>, commands: readonly Argument[][]): Promise<void> {
  for (let at = 0; at < commands.length; at += 50) await client.pipeline(commands.slice(at, at + 50))
}

test('a stream of 80 MB is loaded, followed and compared', async () => {
  await using rig = await startMoveRig()
  await using app = await rig.openApp('source')
  await fill(app, streamOf('audit', 80))
  await app.command('PEXPIRE', 'audit', 3_600_000)
  await app.command('SET', 'beside', 1)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await app.command('XADD', 'audit', '9999999-1', 'v', 'later')
  await following.catchUp(app)
  expect((await mover.compare({ scope: 'all', at: 'live' })).results).toMatchObject([{ matching: 2, mismatched: 0 }])
  await using target = await rig.openAll('target')
  expect(lowered(Number(await target.command('PEXPIRETIME', 'audit')))).toBe(await app.command('PEXPIRETIME', 'audit'))
  for (const change of [
    ['XACK', 'audit', 'workers', '7-1'],
    ['XGROUP', 'DELCONSUMER', 'audit', 'workers', 'idle'],
    ['XTRIM', 'audit', 'MAXLEN', 1_000],
  ]) {
    expect(await isSameStream(app, target, Buffer.from('audit'))).toBe(true)
    await target.command(...change)
    expect(await isSameStream(app, target, Buffer.from('audit')), change.join(' ')).toBe(false)
    await app.command(...change)
  }
}, 120_000)

test('streams are copied page by page, as RESTORE would', async () => {
  await using rig = await startMoveRig()
  await using source = await rig.openAll('source')
  await fillAllTypes(source)
  await fill(source, streamOf('large', 4))
  await source.pipeline([
    ['XADD', 'gone', '5-5', 'a', 'b'],
    ['XADD', 'gone', '6-6', 'a', 'b'],
    ['XGROUP', 'CREATE', 'gone', 'g', 0],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'gone', '>'],
    ['XTRIM', 'gone', 'MAXLEN', 0],
  ])
  const keys = controlKeys({ move: 'm', direction: 'forward' })
  await using target = await rig.openAll('target')
  await target.command('SET', keys.epoch, 1)
  await using writer = new EpochWriter({ target: await rig.openAll('target'), keys, epoch: 1 })
  for (const name of ['stream', 'stream:empty', 'large', 'gone']) {
    const key = Buffer.from(name)
    await copyLarge({ source, writer, db: 0, key, hasDeadlines: true })
    const [ours, theirs] = [await source.command('DUMP', key), await target.command('DUMP', key)]
    expect(digestPayload(theirs as Buffer), name).toBe(digestPayload(ours as Buffer))
    expect(await isSameStream(source, target, key), name).toBe(true)
  }
  await target.command('INCR', keys.epoch)
  await expect(
    copyLarge({ source, writer, db: 0, key: Buffer.from('large'), hasDeadlines: true }),
  ).rejects.toMatchObject({
    code: 'epoch.superseded',
  })
})

test('a large stream crosses between clusters', async () => {
  await using rig = await startSlotRig({ source: { cluster: {} }, target: { cluster: {} } })
  await using app = await SlotClient.open(rig.urls.source)
  const key = 'audit'
  await fill(app.of(key), streamOf(key, 10))
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await app.catchUp(following)
  const { equal, results } = await mover.compare({ scope: 'all', at: 'live' })
  expect(equal, JSON.stringify(results)).toBe(true)
  expect(results.reduce((sum, { matching }) => sum + matching, 0)).toBe(1)
}, 120_000)
