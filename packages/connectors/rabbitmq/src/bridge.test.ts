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
    exchange: 'replatform.first.tapped.notes',
    properties: { messageId: 'transfer 0', userId: 'app-first', deliveryMode: 2, headers: { CC: ['other'] } },
  })
  expect(received[1]).toMatchObject({ exchange: 'replatform.first.to.notes' })
  expect(await consumer.depth('other')).toBe(0)
  expect((await mover.compare({ scope: 'all', at: 'live' })).results).toMatchObject([
    {},
    { name: 'notes', matching: 1_000, mismatched: 0 },
    {},
  ])
  await pollUntil(
    'the report says so',
    () => following.latest?.rows === bodies.length && following.latest.lagBytes === 0,
  )
})

test('what dead-lettering, redelivery and large bodies leave on a message crosses with it', async () => {
  const move = await TestMove.create(rig, 'whole')
  const deadLetters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' }
  await move.declareQueue('old', 'work', { 'x-queue-type': 'quorum', ...deadLetters })
  await move.declareQueue('old', 'dead')
  await move.declareQueue('old', 'redelivered', { 'x-queue-type': 'quorum' })
  await move.declareQueue('old', 'large')
  await using app = await move.connect('old')
  const large = 'x'.repeat(1_000_000)
  await app.publish(
    'large',
    Array.from({ length: 40 }, (_, index) => `${index}${large}`),
  )
  await app.publish('work', ['refused'], { expiration: '600000', headers: { a: true } })
  await app.publish('redelivered', ['again'])
  const refused = await app.channel.basicGet('work', { noAck: false })
  await refused?.nack(false)
  const again = await app.channel.basicGet('redelivered', { noAck: false })
  await again?.nack(true)
  await pollUntil(
    'both are where they go',
    async () => (await app.depth('dead')) + (await app.depth('redelivered')) === 2,
  )

  await move.editPlan((plan) => {
    for (const queue of plan.queues) queue.carry = 'now'
    // A quorum queue would count anew.
    for (const queue of plan.queues) if (queue.name === 'redelivered') queue.arguments = {}
  })
  await using mover = move.createMover()
  await mover.prepare({ load: true })
  await using following = new Following(mover)
  await using onNext = await move.connect('next', 'rig')
  const counts = () => Promise.all(['large', 'dead', 'redelivered'].map((queue) => onNext.depth(queue)))
  await pollUntil('all have crossed', async () => {
    if (following.failure) throw following.failure
    return (await counts()).join() === '40,1,1'
  })
  const [dead] = await onNext.drain('dead')
  expect(dead?.properties.headers?.['x-death']).toMatchObject([
    { 'queue': 'work', 'reason': 'rejected', 'original-expiration': '600000' },
  ])
  expect(dead?.properties.headers?.a).toBe(true)
  const [counted] = await onNext.drain('redelivered')
  expect(counted?.properties.headers ?? {}).not.toHaveProperty('x-delivery-count')
  const bodies = (await onNext.drain('large')).map(({ body }) => body)
  expect(bodies.map((body) => body.length)).toEqual(
    Array.from({ length: 40 }, (_, index) => `${index}`.length + 1_000_000),
  )
  expect(bodies.map((body) => Number.parseInt(body, 10))).toEqual(Array.from({ length: 40 }, (_, index) => index))
})

test('a plan that is edited while messages flow turns a queue round', async () => {
  const move = await TestMove.create(rig, 'turn')
  await move.declareQueue('old', 'notes')
  await move.editPlan(() => {})
  await using mover = move.createMover()
  await mover.prepare({ load: true })
  await using following = new Following(mover)
  await following.begun()
  await using producer = await move.connect('old')
  await producer.publish('notes', ['one', 'two'])
  expect(await producer.depth('notes')).toBe(2)
  await expect(move.connect('next')).rejects.toThrow()

  const reading = { configure: '^$', write: '^$', read: '^notes$' }
  await move.editPlan((plan) => {
    for (const queue of plan.queues) queue.carry = 'now'
    for (const user of plan.topology.users) user.before = reading
  })
  await using consumer = await pollUntil('consumers are let in', () => move.connect('next'))
  const received: string[] = []
  await pollUntil('all have crossed', async () => {
    received.push(...(await consumer.drain('notes')).map(({ body }) => body))
    return received.length === 2
  })
  expect(received).toEqual(['one', 'two'])
  await expect(consumer.publish('notes', ['none of yours'])).rejects.toThrow('ACCESS_REFUSED')

  await producer.publish('notes', ['three'])
  await using judge = await move.connect('next', 'rig')
  await pollUntil('it has crossed', async () => (await judge.depth('notes')) === 1)
  await move.editPlan((plan) => {
    for (const queue of plan.queues) queue.carry = 'cutover'
  })
  await pollUntil('it is home again', async () => (await producer.depth('notes')) === 1)
  expect((await producer.drain('notes')).map(({ body }) => body)).toEqual(['three'])
})

test('a full target holds its messages on the source until there is room', async () => {
  const move = await TestMove.create(rig, 'full')
  await move.declareQueue('old', 'notes')
  await move.editPlan((plan) => {
    for (const queue of plan.queues) {
      queue.carry = 'now'
      queue.arguments = { 'x-max-length': 5, 'x-overflow': 'reject-publish' }
    }
  })
  await using producer = await move.connect('old')
  await producer.publish(
    'notes',
    Array.from({ length: 12 }, (_, index) => `${index}`),
  )
  await using mover = move.createMover()
  await mover.prepare({ load: true })
  await using following = new Following(mover)
  await using consumer = await move.connect('next', 'rig')
  await pollUntil('the target is full', async () => (await consumer.depth('notes')) >= 5)
  const received: string[] = []
  await pollUntil('all have crossed', async () => {
    if (following.failure) throw following.failure
    received.push(...(await consumer.drain('notes')).map(({ body }) => body))
    return received.length >= 12
  })
  expect(received.map(Number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, index) => index))
})
