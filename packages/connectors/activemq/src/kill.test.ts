/**
 * Goal: whatever is killed under load (1,000 messages a second, or what ActiveMQ bears: the bridge, either broker),
 * every message that carries an id is on ActiveMQ exactly once, and in order.
 */
import { CountingProducer } from '@replatform/connector-rabbitmq/test-fixtures/counting-producer'
import { RestartingBridge } from '@replatform/connector-rabbitmq/test-fixtures/restarting-bridge'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drainOverAmqp } from './test-fixtures/consumers.ts'
import { type MoveRig, startMoveRig, TestMove } from './test-fixtures/move-rig.ts'

const backlogMost = 5_000

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
  await using bridge = new RestartingBridge(() => move.startMover())
  await bridge.start('planned')
  // The rate that ActiveMQ bears: the producer waits while more than this is on its way.
  const isHeld = () => bridge.backlog > backlogMost
  const producer = new CountingProducer({ url: move.appUrl, queue: 'payments', perSecond: 1_000, isHeld })
  const producing = producer.run()
  const crossing = (when: string) =>
    pollUntil(`messages cross ${when}`, () => bridge.carried >= 300, { withinMs: 120_000 })
  for (const [name, inject] of Object.entries(faults)) {
    await crossing(`before ${name} is killed`)
    const { starts } = bridge
    await inject(bridge)
    await pollUntil('another mover has begun', () => bridge.starts > starts, { withinMs: 120_000 })
  }
  await crossing('afterwards')
  producer.stop()
  await producing
  const isEmpty = async () => (await move.depth('payments')) === 0
  await pollUntil('all have crossed', () => bridge.hasCrossed(isEmpty), { withinMs: 120_000 })
  await bridge.stop()

  const size = await pollUntil('its size is known', async () => (await rig.next.statistics.queue('payments'))?.size)
  const received = (await drainOverAmqp(rig.next, 'queue://payments', size)).map(Number)
  const once = new Set(received)
  expect(received.length).toBe(once.size)
  expect(producer.confirmed.filter((number) => !once.has(number))).toEqual([])
  expect(received).toEqual(received.toSorted((a, b) => a - b))
})
