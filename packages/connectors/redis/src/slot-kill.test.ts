/**
 * Goal: between clusters, too, a mover that is killed at any named point under a live writer resumes and ends with the
 * target equal to the source and nothing applied twice.
 * Method: as in kill-and-resume.test.ts. All servers stand behind no proxy, since a cluster tells their own addresses.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { MoverEvent } from '@replatform/engine/mover-protocol'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { killPoints, lastState } from './test-fixtures/kill-points.ts'
import { SlotClient, type SlotRig, startSlotRig } from './test-fixtures/slot-rig.ts'
import { startMover } from './test-fixtures/start-mover.ts'

const seeds = 20_000
let rig: SlotRig
let app: SlotClient

beforeAll(async () => {
  rig = await startSlotRig({ source: { cluster: {} }, target: { cluster: { engine: 'valkey', shards: 4 } } })
  app = await SlotClient.open(rig.urls.source)
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await rig[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await using target = await SlotClient.open(rig.urls.target)
  for (const connection of [...app.all, ...target.all]) await connection.command('FLUSHALL')
  for (let i = 0; i < seeds; i += 2_000) {
    await app.pipeline(Array.from({ length: 2_000 }, (_, k) => ['SET', `seed:${i + k}`, 'v'.repeat(200)]))
  }
})

test.each(killPoints)('killed $name', async ({ name, reached }) => {
  const move = name.replaceAll(' ', '-')
  const writer = { rounds: 0, isOver: false }
  const write = async () => {
    await using client = await SlotClient.open(rig.urls.source)
    for (; !writer.isOver; writer.rounds++) {
      const i = writer.rounds
      await client.pipeline([
        ['INCR', `n:${i % 100}`],
        ['RPUSH', `l:${i % 10}`, i],
        ['LTRIM', `l:${i % 10}`, -50, -1],
        ['SET', `code:${i % 500}`, i, 'PX', 100_000],
      ])
      // Leaves the machine to the mover: who is faster is not the question here.
      await sleep(2)
    }
  }
  const writing = write().catch((thrown) => thrown)
  try {
    const first = await startMover(move, rig.urls)
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
    expect(report.equal, JSON.stringify(report.results)).toBe(true)
    expect(report.results.reduce((sum, { matching }) => sum + matching, 0)).toBeGreaterThan(seeds)
    await second.client.call('stop', {})
  } finally {
    writer.isOver = true
    expect(await writing).toBeUndefined()
  }
})
