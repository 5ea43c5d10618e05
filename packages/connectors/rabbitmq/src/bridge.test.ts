/** Goal: messages cross whole and in order, in either direction that the plan says, while both brokers live. */
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerRig, Following, startBrokerRig, TestMove } from './test-fixtures/broker-rig.ts'

let rig: BrokerRig

beforeAll(async () => {
  rig = await startBrokerRig()
}, 120_000)
afterAll(() => rig[Symbol.asyncDispose]())

test('a queue whose consumers went first crosses whole and in order, with its routing key', async () => {
  const move = await TestMove.create(rig, 'first')
  await move.declareQueue('old', 'notes')
  await move.call('old', 'PUT', 'exchanges/{vhost}/events', { type: 'topic', durable: true })
  await move.call('old', 'POST', 'bindings/{vhost}/e/events/q/notes', { routing_key: 'transfer.#' })
  await using producer = await move.connect('old')
  await producer.channel.confirmSelect()
  const bodies = Array.from({ length: 1_000 }, (_, index) => `transfer ${index}`)
  for (const body of bodies) {
    // A CC header would bring the copy to a second queue if the bridge published by the default exchange.
    const properties = { deliveryMode: 2, messageId: body, userId: 'app-first', headers: { CC: ['other'], a: 1n } }
    void producer.channel.basicPublish('events', 'transfer.done', body, properties)
  }
  await pollUntil('all are in the queue', async () => (await producer.depth('notes')) === bodies.length)
  await move.declareQueue('old', 'other')

  await move.editPlan((plan) => {
    for (const queue of plan.queues) queue.carry = 'now'
  })
  await using mover = move.createMover()
  await mover.prepare({ load: true })
  await using following = new Following(mover)
  await using consumer = await move.connect('next', 'rig')
  await pollUntil('all have crossed', async () => {
    if (following.failure) throw following.failure
    return (await consumer.depth('notes')) === bodies.length
  })
  expect(await producer.depth('notes')).toBe(0)
  const received = await consumer.drain('notes')
  expect(received.map(({ body }) => body)).toEqual(bodies)
  expect(received[0]).toMatchObject({
    routingKey: 'transfer.done',
    exchange: 'replatform.first.notes',
    properties: { messageId: 'transfer 0', userId: 'app-first', deliveryMode: 2, headers: { CC: ['other'] } },
  })
  expect(await consumer.depth('other')).toBe(0)
  expect(following.latest).toMatchObject({ rows: 1_000, lagBytes: 0 })
})
