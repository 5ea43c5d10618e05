/**
 * Goal: a mover that is killed at any named point, under a live writer, resumes and ends with the target equal to the
 * source and nothing applied twice; where the source cannot go on, it says so and the target stays as it was.
 * Method: a real mover process is killed with SIGKILL when it reports the point; counters that only INCR would show
 * every command that came twice or not at all.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { MoverEvent } from '@replatform/engine/mover-protocol'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import { killPoints, lastState } from './test-fixtures/kill-points.ts'
import { type MoveRig, startMoveRig } from './test-fixtures/move-rig.ts'
import { startMover } from './test-fixtures/start-mover.ts'

let rig: MoveRig
let app: Connection

beforeAll(async () => {
  rig = await startMoveRig()
  app = await rig.openApp('source')
})
afterAll(() => rig[Symbol.asyncDispose]())
beforeEach(async () => {
  await app.command('FLUSHALL')
  for (let i = 0; i < 20_000; i += 1_000) {
    await app.pipeline(Array.from({ length: 1_000 }, (_, k) => ['SET', `seed:${i + k}`, 'v'.repeat(200)]))
  }
  await using target = await rig.openAll('target')
  await target.command('FLUSHALL')
})

/** Writes until disposed of; everything it writes counts. */
class LiveWriter implements AsyncDisposable {
  rounds = 0
  readonly #connection: Connection
  readonly #ended: Promise<void>
  #isOver = false

  constructor(connection: Connection) {
    this.#connection = connection
    this.#ended = this.#write()
  }

  async #write(): Promise<void> {
    for (; !this.#isOver; this.rounds++) {
      const i = this.rounds
      await this.#connection.pipeline([
        ['MULTI'],
        ['INCR', `n:${i % 100}`],
        ['RPUSH', `l:${i % 10}`, i],
        ['LTRIM', `l:${i % 10}`, -50, -1],
        ['EXEC'],
        ['SELECT', 1],
        ['INCRBY', 'other', 1],
        ['SET', `code:${i % 500}`, i, 'PX', 100_000],
        ['SELECT', 0],
      ])
      // Leaves the machine to the mover: who is faster is not the question here.
      await sleep(2)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#ended
    this.#connection.close()
  }
}

test.each(killPoints)('killed $name', async ({ name, reached }) => {
  const move = name.replaceAll(' ', '-')
  // The load is slow enough to be met in its middle.
  await using proxy = await startTcpProxy({ host: rig.target.host, port: rig.target.port })
  if (name.includes('middle')) {
    proxy.delay(15)
    proxy.limitBandwidth(4_000_000)
  }
  const urls = { ...rig.urls, target: proxy.url(rig.urls.target) }
  await using writer = new LiveWriter(await rig.openApp('source'))

  const first = await startMover(move, urls)
  first.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await reached(first)
  await first.kill()
  const killedAt = writer.rounds
  await pollUntil('the source is written meanwhile', () => writer.rounds > killedAt + 50)

  await using second = await startMover(move, rig.urls)
  const run = second.client.call('run', { direction: 'forward', state: lastState(first) })
  run.catch(() => {})
  const isLevel = (e: MoverEvent) => e.event === 'follow' && e.progress.lagMs < 1_000
  await Promise.race([second.waitFor(isLevel), run])
  const report = await second.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' })
  expect(report.results.map(({ missing, extra, mismatched }) => ({ missing, extra, mismatched }))).toEqual([
    { missing: 0, extra: 0, mismatched: 0 },
    { missing: 0, extra: 0, mismatched: 0 },
  ])
  expect(report.results[0]?.matching).toBeGreaterThan(20_000)
  await second.client.call('stop', {})
})

test('a checkpoint that the source has left behind is told, and the target stays as it was', async () => {
  await app.command('SET', 'a', 1)
  const first = await startMover('left-behind', rig.urls)
  first.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await first.waitFor((e) => e.event === 'state' && e.state === 'in-sync')
  await first.kill()
  // A new history, as after a restart without a saved one.
  await app.command('SET', 'b', 2)
  await rig.source.command('DEBUG', 'CHANGE-REPL-ID')
  await using second = await startMover('left-behind', rig.urls)
  await expect(second.client.call('run', { direction: 'forward', state: 'in-sync' })).rejects.toMatchObject({
    code: 'redis.resync-required',
  })
  await using target = await rig.openAll('target')
  expect(await target.command('EXISTS', 'a', 'b')).toBe(1)
})
