/**
 * Goal: what crosses is the same to every consumer. A message with every property and every type of header is read on
 * the source and on the target by AMQP 0-9-1, by AMQP 1.0 and by STOMP, and each must see on both the same.
 */
import { once } from 'node:events'
import { freePort } from '@replatform/testkit/free-port'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RabbitmqServer } from '@replatform/testkit/rabbitmq-server'
import rhea, { type ConnectionOptions, type EventContext } from 'rhea'
import stompit from 'stompit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseBrokerAddress } from './address.ts'
import { openAmqp } from './amqp-connection.ts'
import { type FieldTable, shortText } from './field-table.ts'
import { readProperties, writeProperties } from './message-properties.ts'
import type { MessageProperties } from './source-message.ts'
import { type BrokerRig, Following, moverUrl, startBrokerRig, TestMove } from './test-fixtures/broker-rig.ts'
import { headersOfEveryType, scalarHeaders } from './test-fixtures/header-types.ts'

const move = 'whole'
let rig: BrokerRig
const stompPorts = new Map<RabbitmqServer, number>()

beforeAll(async () => {
  const ports = [await freePort(), await freePort()]
  const [old, next] = ports.map((port) => ({
    plugins: ['rabbitmq_amqp1_0', 'rabbitmq_stomp'],
    settings: { 'stomp.listeners.tcp.1': `127.0.0.1:${port}` },
  }))
  rig = await startBrokerRig({ ...(old ? { old } : {}), ...(next ? { next } : {}) })
  for (const [index, server] of [rig.old, rig.next].entries()) stompPorts.set(server, ports[index] as number)
}, 120_000)
afterAll(() => rig[Symbol.asyncDispose]())

const properties: MessageProperties = {
  contentType: 'application/json',
  contentEncoding: 'identity',
  deliveryMode: 2,
  priority: 7,
  correlationId: 'c-1',
  replyTo: 'replies',
  expiration: '600000',
  messageId: 'm-1',
  timestamp: 4_000_000_000n,
  type: 'payment.captured',
  userId: 'rig',
  appId: 'wallet-service',
}
const body = Buffer.from('{"amount":"12.30 €"}')

type See = (server: RabbitmqServer, queue: string) => Promise<unknown>

/** What each kind of consumer is sent, and how it sees it; what must differ between two brokers is left out. */
const consumers: Record<string, { readonly headers: FieldTable; readonly see: See }> = {
  'amqp-0-9-1': { headers: headersOfEveryType, see: seeByAmqp091 },
  'amqp-1.0': { headers: scalarHeaders, see: seeByAmqp10 },
  'stomp': { headers: scalarHeaders, see: seeByStomp },
}

test('every consumer sees on the target what it saw on the source', async () => {
  const test = await TestMove.create(rig, move)
  for (const queue of Object.keys(consumers)) await test.declareQueue('old', queue)
  const seen = new Map<string, unknown>()
  for (const [queue, { headers, see }] of Object.entries(consumers)) {
    await publish(queue, headers)
    seen.set(queue, await see(rig.old, queue))
    await publish(queue, headers)
  }
  await test.editPlan((plan) => {
    for (const queue of plan.queues) queue.carry = 'now'
  })
  await using mover = test.createMover()
  await mover.prepare({ load: true })
  await using following = new Following(mover)
  await using onNext = await test.connect('next', 'rig')
  await pollUntil('all have crossed', async () => {
    if (following.failure) throw following.failure
    const depths = await Promise.all(Object.keys(consumers).map((queue) => onNext.depth(queue)))
    return depths.every((depth) => depth === 1)
  })
  for (const [queue, { see }] of Object.entries(consumers)) {
    expect({ queue, seen: await see(rig.next, queue) }).toEqual({ queue, seen: seen.get(queue) })
  }
  // And this is what it was: two that see nothing would agree as well.
  expect(seen.get('amqp-0-9-1')).toEqual({ properties: { ...properties, headers: headersOfEveryType }, body })
  // RabbitMQ 3.10 shows no headers to consumers of AMQP 1.0.
  expect(seen.get('amqp-1.0')).toMatchObject({ correlation_id: 'c-1', message_id: 'm-1', priority: 7, ttl: 600_000 })
  expect(seen.get('stomp')).toMatchObject({ headers: { 'correlation-id': 'c-1', 'int32': '-70000' }, body })
})

async function publish(queue: string, headers: FieldTable): Promise<void> {
  const address = parseBrokerAddress(moverUrl(rig.old, move))
  await using connection = await openAmqp({ address, side: 'source', name: 'publishes' })
  const channel = await connection.openChannel()
  await channel.confirmSelect()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  channel.listen({ confirmed: () => resolve(), failed: reject })
  const to = { exchange: shortText(''), routingKey: shortText(queue), mandatory: true }
  channel.publish({ ...to, properties: writeProperties({ ...properties, headers }), body })
  await promise
}

async function seeByAmqp091(server: RabbitmqServer, queue: string): Promise<unknown> {
  const address = parseBrokerAddress(moverUrl(server, move))
  await using connection = await openAmqp({ address, side: 'source', name: 'consumes' })
  const channel = await connection.openChannel()
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  channel.listen({
    delivery(found) {
      channel.ack(found.deliveryTag, false)
      resolve({ properties: readProperties(found.properties), body: found.body })
    },
    failed: reject,
  })
  await channel.consume(queue, 'sees')
  const seen = await promise
  await channel.close()
  return seen
}

async function seeByAmqp10({ host, port, user, password }: RabbitmqServer, queue: string): Promise<unknown> {
  const options = { host, port, username: user, password, hostname: `vhost:${move}`, reconnect: false }
  const connection = rhea.create_container().connect(options as ConnectionOptions)
  const [{ message }] = (await once(connection.open_receiver(`/amq/queue/${queue}`), 'message')) as [EventContext]
  connection.close()
  await once(connection, 'connection_close')
  // Which exchange it came by is another one.
  const { message_annotations: _, delivery_annotations: __, ...seen } = message as NonNullable<typeof message>
  return JSON.parse(JSON.stringify(seen))
}

function seeByStomp(server: RabbitmqServer, queue: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const connectHeaders = { host: move, login: server.user, passcode: server.password }
  const port = stompPorts.get(server) as number
  stompit.connect({ host: server.host, port, connectHeaders }, (error, client) => {
    if (error) return reject(error)
    client.on('error', reject)
    client.subscribe({ destination: `/amq/queue/${queue}`, ack: 'client-individual' }, (failure, message) => {
      if (failure) return reject(failure)
      const chunks: Buffer[] = []
      message.on('data', (chunk: Buffer) => chunks.push(chunk))
      message.on('end', () => {
        client.ack(message)
        const { headers } = message as unknown as { headers: Record<string, string> }
        const { destination: _, 'message-id': __, 'ack': ___, subscription: ____, ...same } = headers
        client.disconnect(() => resolve({ headers: same, body: Buffer.concat(chunks) }))
      })
    })
  })
  return promise
}
