/**
 * Goal: whatever is killed under load (the bridge, either broker), every message that carries an id is on ActiveMQ
 * exactly once, and in order; the ledger counts what crossed.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drainOverAmqp } from './test-fixtures/consumers.ts'
import { type MoveRig, NumberedProducer, RestartingBridge, startMoveRig, TestMove } from './test-fixtures/move-rig.ts'

let rig: MoveRig
beforeAll(async () => {
  rig = await startMoveRig()
}, 180_000)
afterAll(() => rig[Symbol.asyncDispose]())

const faults: Record<string, (bridge: RestartingBridge) => Promise<void>> = {
  'the bridge': (bridge) => bridge.kill(),
  'the target broker': async () => {
    await rig.next.kill()
    await rig.next.restart()
  },
  'the source broker': async () => {
    await rig.old.kill()
    await rig.old.restart()
  },
}

test('exactly once, whatever is killed', { timeout: 300_000 }, async () => {
  const move = await TestMove.create(rig, 'kill')
  await move.declareQueue('payments')
  await move.editPlan(({ queues }) => {
    for (const queue of queues) queue.carry = 'now'
  })
  await using bridge = new RestartingBridge(move)
  await bridge.start('planned')
  const producer = new NumberedProducer(move, 'payments')
  const producing = producer.run()
  for (const [name, inject] of Object.entries(faults)) {
    await pollUntil(`messages cross before ${name} is killed`, () => bridge.carried >= 300, { withinMs: 120_000 })
    await inject(bridge)
    await pollUntil('another mover has begun', () => bridge.carried < 300, { withinMs: 120_000 })
  }
  await pollUntil('messages cross afterwards', () => bridge.carried >= 300, { withinMs: 120_000 })
  producer.stop()
  await producing
  await pollUntil('all have crossed', async () => (await move.depth('payments')) === 0, { withinMs: 120_000 })
  await bridge.stop()
  expect(bridge.failure).toBeNull()

  const size = await pollUntil('its size is known', async () => (await rig.next.statistics.queue('payments'))?.size)
  const received = (await drainOverAmqp(rig.next, 'queue://payments', size)).map(Number)
  const once = new Set(received)
  expect(received.length).toBe(once.size)
  expect(producer.confirmed.filter((number) => !once.has(number))).toEqual([])
})
