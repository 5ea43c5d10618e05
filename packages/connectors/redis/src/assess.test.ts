/** Goal: each finding is provoked on a real server, and a sound pair has none. */
import { expect, test } from 'vitest'
import { redisRoute } from './route.ts'
import { type MoveRig, startMoveRig } from './test-fixtures/move-rig.ts'

const log = { info() {}, warn() {}, error() {} }

async function findingsOf(rig: MoveRig, options: { readonly asDefault?: boolean; readonly service?: string } = {}) {
  const source = { kind: 'redis', url: options.asDefault ? rig.source.url() : rig.urls.source } as const
  const target = { kind: 'redis', url: rig.urls.target, service: options.service } as const
  await using mover = redisRoute.open({ move: 'm', direction: 'forward', source, target, tools: {}, workers: 1, log })
  return (await mover.assess()).map(({ id, severity }) => `${severity} ${id}`).sort()
}

test('a sound pair has no findings, also once the move has begun', async () => {
  await using rig = await startMoveRig()
  expect(await findingsOf(rig)).toEqual([])
  await using mover = rig.createMover({ move: 'm' })
  await mover.prepare({ load: true })
  expect(await findingsOf(rig)).toEqual([])
})

test('what stands in the way is found', async () => {
  await using rig = await startMoveRig({
    source: { settings: { 'repl-backlog-size': '1mb' } },
    target: { settings: { maxmemory: '3mb', 'maxmemory-policy': 'allkeys-lru' } },
  })
  await using app = await rig.openApp('source')
  for (let i = 0; i < 60; i++) await app.command('SET', `k${i}`, 'x'.repeat(100_000))
  await using target = await rig.openApp('target')
  await target.command('SET', 'mine', 1)
  expect(await findingsOf(rig, { asDefault: true, service: 'elasticache' })).toEqual([
    'blocker redis.shared-user',
    'blocker redis.target-not-empty',
    'blocker redis.target-too-small',
    'risk redis.not-fenced',
    'risk redis.small-backlog',
    'risk redis.target-evicts',
  ])
  await using mover = rig.createMover()
  await expect(mover.prepare({ load: true })).rejects.toMatchObject({ code: 'target.not-empty' })
  expect(await target.command('GET', 'mine')).not.toBeNull()
})

test('wrong password, nobody there, and what is no address', async () => {
  await using rig = await startMoveRig()
  const side = (url: string) => ({ kind: 'redis', url }) as const
  const open = (source: string) =>
    redisRoute.open({
      move: 'm',
      direction: 'forward',
      source: side(source),
      target: side(rig.urls.target),
      tools: {},
      workers: 1,
      log,
    })
  await using wrong = open(rig.source.url('mover', 'not-it'))
  await expect(wrong.prepare({ load: true })).rejects.toMatchObject({ code: 'auth.failed' })
  await using nobody = open('redis://mover:secret@127.0.0.1:1')
  await expect(nobody.prepare({ load: true })).rejects.toMatchObject({ code: 'connection.refused' })
  await using noRedis = open('http://127.0.0.1')
  await expect(noRedis.prepare({ load: true })).rejects.toMatchObject({ code: 'secret.unresolved' })
})
