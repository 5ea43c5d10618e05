/** Goal: the same move between other servers: Valkey on either side, TLS, snapshots from disk, a managed target. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RedisOptions } from '@replatform/testkit/redis-server'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { expect, test } from 'vitest'
import { openConnection } from './connection.ts'
import { redisRoute } from './route.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'
import { Following, loadMove, startMoveRig } from './test-fixtures/move-rig.ts'

const variants: (readonly [
  string,
  { readonly source?: RedisOptions; readonly target?: RedisOptions; readonly service?: string },
])[] = [
  ['Redis 7 to Valkey 8', { target: { engine: 'valkey' } }],
  ['Valkey 8 to Valkey 8', { source: { engine: 'valkey' }, target: { engine: 'valkey' } }],
  ['Valkey 8 to the older Redis 7, by commands', { source: { engine: 'valkey' } }],
  ['a snapshot from disk', { source: { settings: { 'repl-diskless-sync': 'no' } } }],
  ['a snapshot without checksum or packing', { source: { settings: { rdbchecksum: 'no', rdbcompression: 'no' } } }],
  ['ElastiCache as target', { target: { flavour: 'elasticache', engine: 'valkey' }, service: 'elasticache' }],
]

test.each(variants)('%s', async (_name, { service, ...options }) => {
  await using rig = await startMoveRig(options)
  await using source = await rig.openAll('source')
  await fillAllTypes(source)
  // The rig restricts its ordinary user as ElastiCache does; ours must manage as that one.
  await using mover = service
    ? redisRoute.open({
        move: 'cache',
        direction: 'forward',
        source: { kind: 'redis', url: rig.urls.source },
        target: { kind: 'redis', url: rig.target.url(), service },
        tools: {},
        workers: 1,
        log: { info() {}, warn() {}, error() {} },
      })
    : rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await source.command('XADD', 'stream', '*', 'after', 'load')
  await source.command('XREADGROUP', 'GROUP', 'workers', 'ann', 'COUNT', 5, 'STREAMS', 'stream', '>')
  await source.command('SET', 'string:deadline', 'renewed', 'PX', 5_000_000)
  await following.catchUp(source)
  const report = await mover.compare({ scope: 'all', at: 'live' })
  expect(report.results, JSON.stringify(report.results)).toMatchObject([
    { mismatched: 0, missing: 0, extra: 0 },
    { mismatched: 0, missing: 0, extra: 0 },
  ])
})

test('TLS is verified on every connection', async () => {
  await using rig = await startMoveRig({ source: { tls: true }, target: { tls: true } })
  await using folder = await createTempFolder('redis-tls')
  const ca = join(folder.path, 'ca.pem')
  await writeFile(ca, String(rig.source.authority))
  await expect(openConnection({ url: rig.urls.source, side: 'source' })).rejects.toMatchObject({ code: 'tls.failed' })
  const log = { info() {}, warn() {}, error() {} }
  const side = (url: string) => ({ kind: 'redis', url: `${url}?ca=${ca}` }) as const
  const sides = { source: side(rig.urls.source), target: side(rig.urls.target) }
  await using mover = redisRoute.open({ move: 'cache', direction: 'forward', ...sides, tools: {}, workers: 1, log })
  await using source = await openConnection({ url: sides.source.url, side: 'source' })
  await fillAllTypes(source)
  await loadMove(mover)
  await using following = new Following(mover)
  await source.command('INCR', 'n')
  await following.catchUp(source)
  expect((await mover.compare({ scope: 'all', at: 'live' })).equal).toBe(true)
})
