/** Goal: what a comparison catches and what it cannot, and that late messages of the old side are neither lost nor forgotten. */
import { flipSides } from '@replatform/testkit/flip-sides'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerRig, Following, startBrokerRig, TestMove } from './test-fixtures/broker-rig.ts'

let rig: BrokerRig

beforeAll(async () => {
  rig = await startBrokerRig()
}, 120_000)
afterAll(() => rig[Symbol.asyncDispose]())

test('a comparison finds what is missing of the topology, and of messages that nobody consumed', async () => {
  const move = await TestMove.create(rig, 'faults')
  await move.declareQueue('old', 'payments')
  await move.declareQueue('old', 'short', { 'x-message-ttl': 600_000 })
  await move.call('old', 'PUT', 'exchanges/{vhost}/events', { type: 'fanout', durable: true })
  await move.call('old', 'POST', 'bindings/{vhost}/e/events/q/payments', { routing_key: '' })
  await using app = await move.connect('old')
  await app.publish('payments', ['one', 'two', 'three'])
  await app.publish('payments', ['lapses'], { expiration: '600000' })
  await app.publish('short', ['one'])
  await using mover = move.createMover()
  await mover.prepare({ load: true })
  await using following = new Following(mover)
  await following.begun()
  expect(await mover.compare({ scope: 'all', at: 'live' })).toMatchObject({ equal: true })
  await move.call('next', 'DELETE', 'bindings/{vhost}/e/events/q/payments/~')
  expect(await mover.compare({ scope: 'all', at: 'live' })).toMatchObject({
    equal: false,
    results: [
      { name: 'topology', missing: 1, samples: [{ kind: 'missing', key: 'binding events → payments' }] },
      {},
      {},
    ],
  })

  // As a queue does that lapses while nobody uses it: it is made anew before anything is sent there.
  await move.call('next', 'DELETE', 'queues/{vhost}/short')
  await mover.fence('source', { withinMs: 20_000, turn: 1 })
  const barrier = await mover.barrier()
  await pollUntil('all have crossed', async () => (await mover.remaining(barrier)).count === 0)
  await following.stop()
  await mover.settle()
  const results = async () => (await mover.compare({ scope: 'changed', at: 'fenced' })).results
  const clean = { missing: 0, mismatched: 0, extra: 0 }
  expect(await results()).toMatchObject([
    { name: 'topology', ...clean },
    { name: 'payments', processed: 4, matching: 4, ...clean },
    { name: 'short', processed: 1, matching: 1, ...clean },
  ])
  await using judge = await move.connect('next', 'rig')
  // Could have lapsed by itself: one short is not held against the bridge, two are; a queue that lapses is never counted.
  await judge.channel.basicGet('payments', { noAck: true })
  await judge.channel.basicGet('short', { noAck: true })
  expect(await results()).toMatchObject([{}, { name: 'payments', ...clean }, { name: 'short', ...clean }])
  await judge.channel.basicGet('payments', { noAck: true })
  expect(await results()).toMatchObject([{}, { name: 'payments', missing: 1, matching: 3 }, {}])
})

test('a message whose delay ends after the cutover is carried over, and the move does not end without it', async () => {
  const move = await TestMove.create(rig, 'aged')
  await move.declareQueue('old', 'work')
  const delay = { 'x-message-ttl': 6_000, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'work' }
  await move.declareQueue('old', 'retry', delay)
  await using mover = await move.startMover()
  void mover.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await mover.waitFor((event) => event.event === 'follow')
  await using app = await move.connect('old')
  await app.publish('work', ['now'])
  await app.publish('retry', ['later'])
  const { decision } = await flipSides({ mover, direction: 'forward' })
  expect(decision.outcome).toBe('committed')
  await using consumer = await move.connect('next')
  expect((await consumer.drain('work')).map(({ body }) => body)).toEqual(['now'])
  const finalize = () => mover.client.call('cleanUp', { direction: 'reverse', scope: 'everything' })
  await expect(finalize()).rejects.toMatchObject({ code: 'rabbitmq.left-behind' })
  void mover.client.call('run', { direction: 'reverse', state: 'reversing' }).catch(() => {})
  await pollUntil('the delay is over and the message has crossed', async () => (await consumer.depth('work')) === 1)
  const [late] = await consumer.drain('work')
  expect(late).toMatchObject({ body: 'later', properties: { headers: { 'x-death': [{ queue: 'retry' }] } } })
  await mover.client.call('stop', {})
  await finalize()
})
