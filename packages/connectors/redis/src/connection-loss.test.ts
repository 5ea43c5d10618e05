/** Goal: connections that break in the middle are told as such, and following goes on from the checkpoint. */
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import { expect, test } from 'vitest'
import { redisRoute } from './route.ts'
import { Following, loadMove, startMoveRig } from './test-fixtures/move-rig.ts'

test.each(['source', 'target'] as const)('the %s goes away and comes back', async (side) => {
  await using rig = await startMoveRig()
  await using proxy = await startTcpProxy({ host: rig[side].host, port: rig[side].port })
  const urls = { ...rig.urls, [side]: proxy.url(rig.urls[side]) }
  const log = { info() {}, warn() {}, error() {} }
  const sides = { source: { kind: 'redis', url: urls.source }, target: { kind: 'redis', url: urls.target } } as const
  await using mover = redisRoute.open({ move: 'm', direction: 'forward', ...sides, tools: {}, workers: 1, log })
  await using app = await rig.openApp('source')
  await app.command('SET', 'n', 0)
  await loadMove(mover)
  await using first = new Following(mover)
  await app.command('INCR', 'n')
  await first.catchUp(app)
  proxy.refuse()
  await app.command('INCR', 'n')
  await expect(first.ended).rejects.toMatchObject({ retry: 'retry' })
  await expect(
    mover.follow({ signal: new AbortController().signal, report() {}, async throttle() {} }),
  ).rejects.toMatchObject({
    code: 'connection.refused',
  })
  await proxy.restore()
  await using second = new Following(mover)
  await app.command('INCR', 'n')
  await second.catchUp(app)
  await using target = await rig.openAll('target')
  expect(String(await target.command('GET', 'n'))).toBe('3')
})
