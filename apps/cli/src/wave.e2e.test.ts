/**
 * Goal: two databases that belong together go over, come back and go over again at one point each, with payments
 * to both all the time; whatever happens in the pause, both are open on the same side in the end, and nothing is lost.
 * Method: the real command line, real servers, PgBouncer and HAProxy; a step is made to wait by a lock it needs.
 */
import type { Operation } from '@replatform/control/api-types'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { CliProcess } from './test-fixtures/cli-process.ts'
import { moves, WaveStage, wave } from './test-fixtures/wave-stage.ts'

// Two servers, a pooler, a gateway, a worker and its movers: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 240_000 })

let stage: WaveStage
let worker: CliProcess

beforeAll(async () => {
  stage = await WaveStage.open()
  worker = await stage.rig.worker()
  for (const move of moves) {
    const started = await stage.rig.run('start', move, '--until', 'in-sync')
    expect(started.code, started.err).toBe(0)
  }
})
afterAll(() => stage[Symbol.asyncDispose]())

/** The writer's lock that the fence of a table waits for. */
const likeAWriter = 'LOCK TABLE payments IN ROW EXCLUSIVE MODE'

async function perform(...args: string[]): Promise<Operation> {
  const done = await stage.rig.json(...args)
  expect([done.code, done.document.error ?? null], done.err).toEqual([0, null])
  return done.document
}

async function ended(id: string): Promise<Operation> {
  return pollUntil(
    'the operation ends',
    async () => {
      const operation = await stage.rig.client.operation(id)
      return operation.state === 'running' ? undefined : operation
    },
    { withinMs: 120_000 },
  )
}

test('gates hold the wave back; a comparison and a rehearsal open them, and payments notice neither', async () => {
  const refused = await stage.rig.json('cutover', '--wave', wave)
  expect([refused.code, refused.document.error?.code]).toEqual([3, 'gate.closed'])
  for (const move of moves) await perform('compare', move)
  const before = await stage.routingState()
  const rehearsal = await perform('rehearse', wave)
  expect(rehearsal.result).toMatchObject({
    kind: 'rehearsal',
    report: {
      passed: true,
      routings: [
        { name: 'haproxy payments', isTried: true, felt: { errors: 0, gapMs: expect.any(Number) } },
        ...moves.map((move) => ({ name: `pgbouncer ${move}`, isTried: true, felt: { errors: 0 } })),
      ],
    },
  })
  expect(await stage.routingState()).toEqual(before)
  await stage.expectOpen('old')
  const dry = await stage.rig.run('cutover', '--wave', wave, '--dry-run')
  expect([dry.code, dry.out]).toEqual([
    0,
    expect.stringMatching(/Gates now:[\s\S]*The write pause is expected to take/),
  ])
})

test('one move of the wave alone is refused, and the wave is named', async () => {
  const alone = await stage.rig.run('cutover', moves[0])
  expect([alone.code, alone.err]).toEqual([3, expect.stringContaining(`replatform cutover --wave ${wave}`)])
})

test('over, back, and over again, and both databases are open on the same side each time', async () => {
  const over = await perform('cutover', '--wave', wave)
  expect(over.result).toMatchObject({ cutover: { outcome: 'committed', predictedMs: expect.any(Number) } })
  await stage.reach('reversing')
  await stage.expectOpen('new')
  await perform('rollback', '--wave', wave)
  await stage.reach('rolled-back')
  await stage.expectOpen('old')
})

test('one database cannot be fenced: neither goes over', async () => {
  await using _lock = await stage.hold('wave-merchants', 'old', likeAWriter)
  const { id } = await stage.rig.client.askWave('cutover', wave, { actor: 'test@rig' })
  expect(await ended(id)).toMatchObject({ state: 'failed' })
  await stage.reach('rolled-back')
  await stage.expectOpen('old')
})

test('the worker is killed in the pause, before the decision: the next one opens both where they were', async () => {
  await using lock = await stage.hold('wave-merchants', 'old', likeAWriter)
  const { id } = await stage.rig.client.askWave('cutover', wave, { actor: 'test@rig' })
  await lock.blocksSomebody()
  await worker.kill()
  worker = await stage.rig.worker()
  expect(await ended(id)).toMatchObject({ state: 'failed', error: { code: 'cutover.aborted' } })
  await lock.release()
  await stage.reach('rolled-back')
  await stage.expectOpen('old')
})

test('and after it: the next one takes both over', async () => {
  await using lock = await stage.hold('wave-merchants', 'new', 'LOCK TABLE replatform.decision IN EXCLUSIVE MODE')
  const { id } = await stage.rig.client.askWave('cutover', wave, { actor: 'test@rig' })
  await lock.blocksSomebody()
  await worker.kill()
  await lock.release()
  worker = await stage.rig.worker()
  expect(await ended(id)).toMatchObject({ state: 'done' })
  await stage.reach('reversing')
  await stage.expectOpen('new')
})

test('the wave is finalized as one, and each acknowledged payment stands there once', async () => {
  await perform('finalize', '--wave', wave)
  const { moves: ends } = await stage.rig.client.status()
  expect(ends.map(({ state }) => state)).toEqual(['finalized', 'finalized'])
  await stage.expectOpen('new')
  await stage.expectNothingLost('new')
})
