/** The sink alone against the real broker: what it confirms is there, in order, and nothing twice that has an id. */
import { longText } from '@replatform/connector-rabbitmq/field-table'
import { writeProperties } from '@replatform/connector-rabbitmq/message-properties'
import type { SourceMessage } from '@replatform/connector-rabbitmq/source-message'
import { Tap } from '@replatform/connector-rabbitmq/tap'
import type { ReplatformError } from '@replatform/core/errors'
import { type ActivemqServer, startActivemq } from '@replatform/testkit/activemq-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { QueueTap } from './activemq-tap.ts'
import { parseActivemqAddress } from './address.ts'
import { type NamedConnection, openConnection } from './broker-connection.ts'
import { encodeForActivemq } from './message-mapping.ts'
import { drainOverAmqp, sendEncoded } from './test-fixtures/consumers.ts'
import { type SinkOptions, TransactionSink } from './transaction-sink.ts'

let server: ActivemqServer
beforeAll(async () => {
  server = await startActivemq()
})
afterAll(async () => await server[Symbol.asyncDispose]())

const requireEpoch = () => {}
const rules = { replyAddress: () => undefined }

function messages(count: number, from = 1): SourceMessage[] {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index
    const properties = writeProperties({ messageId: `m-${n}`, deliveryMode: 2, headers: [['n', longText(String(n))]] })
    const body = Buffer.from(`message ${n}`)
    return { queue: 'source', deliveryTag: n, redelivered: false, exchange: 'x', routingKey: 'k', properties, body }
  })
}

interface Watched extends AsyncDisposable {
  readonly sink: TransactionSink
  readonly stored: number[]
  readonly wereThere: number[]
  readonly refused: ReplatformError[]
  readonly failed: ReplatformError[]
}

async function openSink(held: NamedConnection, queue: string, markerQueue?: string, tap?: QueueTap): Promise<Watched> {
  const watched = {
    stored: [] as number[],
    wereThere: [] as number[],
    refused: [] as ReplatformError[],
    failed: [] as ReplatformError[],
  }
  const events: SinkOptions['events'] = {
    confirmed: ({ deliveryTag }, how) => (how === 'stored' ? watched.stored : watched.wereThere).push(deliveryTag),
    refused: (_, error) => watched.refused.push(error),
    failed: (error) => watched.failed.push(error),
  }
  const other = await connect(`lane-of-${queue}`)
  const sink = await TransactionSink.open({
    connections: [held.connection, other.connection],
    lost: Promise.race([held.lost, other.lost]),
    queue,
    markerQueue,
    tap,
    rules,
    keepsOrder: true,
    events,
    requireEpoch,
    markerLimits: { keptMs: 60_000, digestsMost: 1000 },
  })
  return {
    ...watched,
    sink,
    async [Symbol.asyncDispose]() {
      await sink[Symbol.asyncDispose]()
      await other[Symbol.asyncDispose]()
    },
  }
}

function connect(name: string): Promise<NamedConnection> {
  return openConnection({ address: parseActivemqAddress(server.url()), side: 'target', name })
}

test('what is confirmed is there, in order, and a lone message does not wait for others', async () => {
  await using held = await connect('order')
  await using watched = await openSink(held, 'order')
  for (const message of messages(1100)) watched.sink.send(message)
  await pollUntil('all are confirmed', () => watched.stored.length === 1100)
  expect(watched.stored).toEqual(messages(1100).map(({ deliveryTag }) => deliveryTag))
  watched.sink.send(messages(1, 1101)[0] as SourceMessage)
  await pollUntil('the lone one is confirmed', () => watched.stored.length === 1101)
  const bodies = await drainOverAmqp(server, 'queue://order', 1101)
  expect(bodies).toEqual(messages(1101).map(({ body }) => body.toString()))
})

test('several queues are stored over the same connections, each frame in one piece', async () => {
  await using held = await connect('shared')
  const [queues, count] = [['shared-1', 'shared-2', 'shared-3'], 2_000]
  await using opened = new AsyncDisposableStack()
  const sinks: Watched[] = []
  for (const queue of queues) sinks.push(opened.use(await openSink(held, queue)))
  const all = messages(count).map((message) => ({ ...message, body: Buffer.alloc(1_500, `${message.deliveryTag} `) }))
  for (const message of all) for (const { sink } of sinks) sink.send(message)
  await pollUntil('each is stored or a sink has failed', () =>
    sinks.every(({ stored, failed }) => stored.length === count || failed.length > 0),
  )
  expect(sinks.flatMap(({ failed }) => failed)).toEqual([])
  for (const queue of queues) {
    const bodies = await drainOverAmqp(server, `queue://${queue}`, count)
    expect(bodies).toEqual(all.map(({ body }) => body.toString()))
  }
})

test('messages that come again after a crash between confirmation and acknowledgement are known by their id', async () => {
  const all = messages(700)
  {
    await using held = await connect('again')
    await using first = await openSink(held, 'again', 'replatform.markers.again')
    for (const message of all) first.sink.send(message)
    await pollUntil('all are stored', () => first.stored.length === all.length)
    // The source was told of none: nothing may go.
  }
  await using held = await connect('again')
  await using second = await openSink(held, 'again', 'replatform.markers.again')
  expect(second.sink.delivery).toBe('exactly-once')
  const redelivered = all.map((message) => ({ ...message, redelivered: true }))
  const news = messages(50, 701)
  for (const message of [...redelivered, ...news]) second.sink.send(message)
  await pollUntil('each is settled', () => second.stored.length + second.wereThere.length === 750)
  expect(second.stored).toEqual(news.map(({ deliveryTag }) => deliveryTag))
  // One id with other content is another message.
  second.sink.send({ ...(all[0] as SourceMessage), deliveryTag: 751, body: Buffer.from('changed') })
  await pollUntil('it is stored', () => second.stored.includes(751))
  const bodies = await drainOverAmqp(server, 'queue://again', 751)
  expect(bodies).toEqual([...messages(750).map(({ body }) => body.toString()), 'changed'])
})

test('markers go once the source has forgotten their messages, or there are too many', async () => {
  await using held = await connect('markers')
  await using watched = await openSink(held, 'markers', 'replatform.markers.markers')
  for (let batch = 0; batch < 5; batch++) {
    const some = messages(500, batch * 500 + 1)
    for (const message of some) watched.sink.send(message)
    await pollUntil('they are stored', () => watched.stored.length === (batch + 1) * 500)
    watched.sink.acknowledged(some.at(-1) as SourceMessage)
  }
  await pollUntil('the oldest markers are gone', async () => {
    const { size = 5 } = (await server.statistics.queue('replatform.markers.markers')) ?? {}
    return size <= 3
  })
  expect(watched.failed).toEqual([])
})

test('a message that the broker refuses is told, and its neighbours are stored without it', async () => {
  await using held = await connect('large')
  await using watched = await openSink(held, 'large')
  const [first, second, third] = messages(3) as [SourceMessage, SourceMessage, SourceMessage]
  for (const message of [first, { ...second, body: Buffer.alloc(101 * 1024 * 1024) }, third]) watched.sink.send(message)
  await pollUntil('the others are confirmed', () => watched.stored.length === 2)
  expect(watched.refused.map(({ code }) => code)).toEqual(['activemq.message-too-large'])
})

test('a broker that is killed while messages come has each exactly once in the end', async () => {
  const all = messages(1500)
  const open = new Map(all.map((message) => [message.deliveryTag, message]))
  for (let attempt = 0; open.size > 0; attempt++) {
    expect(attempt).toBeLessThan(10)
    const held = await pollUntil('the broker answers', () => connect('killed'))
    const watched = await openSink(held, 'killed', 'replatform.markers.killed')
    for (const message of open.values()) watched.sink.send({ ...message, redelivered: attempt > 0 })
    if (attempt < 1) {
      await pollUntil('some are stored', () => watched.stored.length > 300 || watched.failed.length > 0, { everyMs: 2 })
      await server.kill()
      await pollUntil('the sink has seen it', () => watched.failed.length > 0)
      await server.restart()
    } else await pollUntil('all are settled', () => watched.stored.length + watched.wereThere.length === open.size)
    // Half of what was confirmed never got acknowledged on the source.
    const settled = [...watched.stored, ...watched.wereThere]
    const forgotten = attempt < 1 ? settled.filter((tag) => tag % 2 === 0) : settled
    for (const tag of forgotten) open.delete(tag)
    await watched[Symbol.asyncDispose]()
    await held[Symbol.asyncDispose]()
  }
  const bodies = await drainOverAmqp(server, 'queue://killed', 1500)
  expect(bodies.toSorted()).toEqual(all.map(({ body }) => body.toString()).toSorted())
  expect(await server.statistics.queue('killed')).toMatchObject({ size: 0 })
})

test('a broker that dies while a sink opens ends the opening, and nothing else', async () => {
  await using held = await connect('opening')
  const none: SinkOptions['events'] = { confirmed: () => {}, refused: () => {}, failed: () => {} }
  const opening = TransactionSink.open({
    connections: [held.connection],
    lost: Promise.race([held.lost]),
    queue: 'opening',
    markerQueue: undefined,
    rules,
    keepsOrder: true,
    events: none,
    requireEpoch,
  })
  const restarted = server.kill().then(() => server.restart())
  await expect(opening).rejects.toMatchObject({ code: 'connection.lost' })
  await restarted
})

test('a name admits one connection: a second mover of the same flow is refused', async () => {
  await using _ = await connect('flow')
  await expect(connect('flow')).rejects.toMatchObject({ code: 'epoch.superseded' })
  await expect(
    openConnection({ address: parseActivemqAddress(server.url({ password: 'wrong' })), side: 'target', name: 'x' }),
  ).rejects.toMatchObject({ code: 'auth.failed' })
})

test('copies that the broker makes are what was read; another one is found', async () => {
  await using held = await connect('tapped')
  const tap = new Tap()
  const copies = { name: 'source', queue: 'tapped', tapQueue: 'copies', every: 2, hasOtherLife: false, tap }
  const queueTap = new QueueTap({ connection: held.connection, ...copies })
  const all = messages(1_200)
  {
    await using watched = await openSink(held, 'tapped', 'tapped-markers', queueTap)
    for (const message of all) watched.sink.send(message)
    await pollUntil('all are confirmed', () => watched.stored.length === all.length)
    await pollUntil('all copies are compared', () => tap.waiting === 0)
    expect(tap.results.get('source')).toEqual({ compared: 600, mismatched: 0 })
    tap.expect('copies', all[0] as SourceMessage)
    await sendEncoded(server, 'queue://copies', encodeForActivemq(all[1] as SourceMessage, rules, Date.now()))
    await pollUntil('the other one is compared', () => tap.waiting === 0)
    expect(tap.results.get('source')).toEqual({ compared: 601, mismatched: 1 })
  }
  // In their order, whether they were copied or not.
  const bodies = await drainOverAmqp(server, 'queue://tapped', all.length)
  expect(bodies).toEqual(all.map(({ body }) => body.toString()))
})
