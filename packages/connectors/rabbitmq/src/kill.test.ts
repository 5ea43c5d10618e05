/**
 * Goal: whatever is killed under 1,000 messages a second (the bridge, either broker, a link), no confirmed message is
 * lost, order holds for everything that came once, and what comes twice is within what the ledger calls perhaps
 * repeated, also where a broker that was killed forgot what it had delivered in its last moments.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { startTcpProxy, type TcpProxy } from '@replatform/testkit/tcp-proxy'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RabbitmqBroker } from './rabbitmq-broker.ts'
import { type BrokerRig, moverUrl, startBrokerRig, TestMove } from './test-fixtures/broker-rig.ts'
import { CountingProducer } from './test-fixtures/counting-producer.ts'
import { RestartingBridge } from './test-fixtures/restarting-bridge.ts'

/** Of both queues together. */
const perSecond = 1_000

let rig: BrokerRig
const proxies: { old?: TcpProxy; next?: TcpProxy } = {}

beforeAll(async () => {
  rig = await startBrokerRig()
  proxies.old = await startTcpProxy(rig.old)
  proxies.next = await startTcpProxy(rig.next)
}, 120_000)
afterAll(async () => {
  await proxies.old?.[Symbol.asyncDispose]()
  await proxies.next?.[Symbol.asyncDispose]()
  await rig[Symbol.asyncDispose]()
})

/** Data by way of the proxies; the management API directly. */
function proxied(move: TestMove) {
  const { old, next } = proxies as { old: TcpProxy; next: TcpProxy }
  return { old: old.url(moverUrl(rig.old, move.name)), next: next.url(moverUrl(rig.next, move.name)) }
}

const faults: Record<string, (restart: () => Promise<void>) => Promise<void>> = {
  'the bridge': (restart) => restart(),
  'the link to the source': async () => proxies.old?.cut(),
  'the link to the target': async () => proxies.next?.cut(),
  'the source broker': async () => {
    await rig.old.kill()
    await rig.old.restart()
  },
  'the target broker': async () => {
    await rig.next.kill()
    await rig.next.restart()
  },
}

test('nothing is lost, whatever is killed', { timeout: 400_000 }, async () => {
  const move = await TestMove.create(rig, 'kill')
  await move.declareQueue('old', 'payments')
  await move.declareQueue('old', 'risk', { 'x-queue-type': 'quorum' })
  await move.editPlan((plan) => {
    for (const queue of plan.queues) queue.carry = 'now'
  })
  await using bridge = new RestartingBridge(() => move.startMover(proxied(move)))
  await bridge.start('planned')
  const queues = ['payments', 'risk']
  const rate = { url: move.appUrl('old'), perSecond: perSecond / queues.length }
  const producers = queues.map((queue) => new CountingProducer({ queue, ...rate }))
  const producing = producers.map((producer) => producer.run())
  const traffic = (when: string) => {
    const goals = producers.map(({ confirmed }) => confirmed.length + 500)
    const isThere = () => producers.every(({ confirmed }, index) => confirmed.length >= (goals[index] as number))
    return pollUntil(`traffic ${when}`, isThere, { withinMs: 90_000 })
  }

  for (const [name, inject] of Object.entries(faults)) {
    await traffic(`before ${name} is killed`)
    // A fault that meets a bridge that is only starting would try nothing.
    await pollUntil(`the bridge carries before ${name} is killed`, () => bridge.isCarrying, { withinMs: 90_000 })
    await inject(() => bridge.kill())
  }
  await traffic('afterwards')
  for (const producer of producers) producer.stop()
  await Promise.all(producing)

  await using onOld = await move.connect('old', 'rig')
  await using onNext = await move.connect('next', 'rig')
  const isEmpty = async () => (await onOld.depth('payments')) + (await onOld.depth('risk')) === 0
  await pollUntil('all have crossed', () => bridge.hasCrossed(isEmpty), { withinMs: 150_000 })
  await bridge.stop()

  await using next = new RabbitmqBroker({ move: move.name, side: 'target', url: move.url('next') })
  const ledger = new Map((await next.readLedger()).map((entry) => [entry.queue, entry]))
  for (const { queue, confirmed } of producers) {
    const received = (await onNext.takeAll(queue)).map(Number)
    const once = new Set(received)
    expect(confirmed.filter((number) => !once.has(number))).toEqual([])
    const entry = ledger.get(queue)
    // A publisher that is not sure publishes another number, so all repeats are ours.
    expect(received.length - once.size).toBeLessThanOrEqual(entry?.perhapsRepeated ?? 0)
    expect(entry?.carried).toBeGreaterThanOrEqual(once.size)
    expect(entry?.carried).toBeLessThanOrEqual(received.length)
    if (queue === 'payments') expect([...once]).toEqual([...once].toSorted((a, b) => a - b))
  }
})
