/**
 * Goal: a cutover and a rollback by the engine's own coordinator. The applications speak AMQP 0-9-1 before and AMQP 1.0
 * after; nothing that was confirmed to them is lost, and what lay on ActiveMQ comes home as it was.
 */
import { once } from 'node:events'
import { flipSides } from '@replatform/testkit/flip-sides'
import { pollUntil } from '@replatform/testkit/poll-until'
import rhea from 'rhea'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectAmqp, drainOverAmqp } from './test-fixtures/consumers.ts'
import { type MoveRig, startMoveRig, TestMove } from './test-fixtures/move-rig.ts'

let rig: MoveRig
beforeAll(async () => {
  rig = await startMoveRig()
}, 180_000)
afterAll(() => rig[Symbol.asyncDispose]())

const target = 'Consumer.risk.VirtualTopic.payments'

/** An exchange that fans out to a queue: on ActiveMQ a virtual topic and its consumer queue. */
async function createMove(name: string, exchange = name): Promise<TestMove> {
  const move = await TestMove.create(rig, name)
  await move.call('PUT', `exchanges/{vhost}/${exchange}`, { type: 'fanout', durable: true })
  await move.declareQueue('risk')
  await move.call('POST', `bindings/{vhost}/e/${exchange}/q/risk`, { routing_key: '' })
  return move
}

test('over and back: whole, in order, through the topic, and home again', { timeout: 240_000 }, async () => {
  const move = await createMove('wave', 'payments')
  await using mover = await move.startMover()
  void mover.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await mover.waitFor((event) => event.event === 'follow')
  const numbers = (from: number, count: number) => Array.from({ length: count }, (_, n) => String(from + n))
  {
    await using app = await move.connect()
    for (const body of numbers(1, 500)) {
      const properties = { deliveryMode: 2, messageId: body, headers: { tenant: 'eu' } }
      await app.channel.basicPublish('payments', '', body, properties)
    }
  }
  const over = await flipSides({ mover, direction: 'forward', budgetMs: 60_000 })
  expect(over.error).toBeNull()
  expect(over.decision.outcome).toBe('committed')
  await expect(move.connect()).rejects.toThrow()
  expect(await drainOverAmqp(rig.next, `queue://${target}`, 500)).toEqual(numbers(1, 500))

  void mover.client.call('run', { direction: 'reverse', state: 'reversing' }).catch(() => {})
  {
    await using app = await connectAmqp(rig.next)
    const sender = app.open_sender('topic://VirtualTopic.payments')
    await once(sender, 'sendable')
    for (const body of numbers(501, 100)) {
      const application_properties = { tenant: 'eu', amqp_message_id: body, amqp_routing_key: 'k' }
      const content = rhea.message.data_section(Buffer.from(body))
      sender.send({ durable: true, content_type: 'text/plain', application_properties, body: content })
      await once(sender, 'accepted')
    }
  }
  const back = await flipSides({ mover, direction: 'reverse', budgetMs: 60_000 })
  expect(back.error).toBeNull()
  expect(back.decision.outcome).toBe('committed')
  await using app = await move.connect()
  const received: { body: string | null; tenant: unknown; id: string | undefined; type: string | undefined }[] = []
  await pollUntil('all are home', async () => (await move.depth('risk')) === 100)
  for (let message = await app.channel.basicGet('risk'); message; message = await app.channel.basicGet('risk')) {
    const { headers, messageId: id, contentType: type } = message.properties
    received.push({ body: message.bodyString(), tenant: headers?.tenant, id, type })
  }
  expect(received).toEqual(numbers(501, 100).map((body) => ({ body, tenant: 'eu', id: body, type: 'text/plain' })))

  await mover.client.call('cleanUp', { direction: 'reverse', scope: 'everything' })
  await pollUntil('nothing of ours is left but the fence', async () => {
    const left = await rig.next.statistics.queue('replatform.wave.ledger')
    return left === undefined
  })
})

test('a rollback does not begin while applications come back to ActiveMQ, and says which', {
  timeout: 120_000,
}, async () => {
  const move = await createMove('held')
  await using mover = await move.startMover()
  void mover.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await mover.waitFor((event) => event.event === 'follow')
  const over = await flipSides({ mover, direction: 'forward', budgetMs: 60_000 })
  expect(over.error).toBeNull()
  void mover.client.call('run', { direction: 'reverse', state: 'reversing' }).catch(() => {})
  const stubborn = rhea.create_container({ id: 'risk-service' })
  stubborn.on('error', () => {})
  stubborn.on('disconnected', () => {})
  const { host, port, user: username, password } = rig.next
  const connection = stubborn.connect({ host, port, username, password, initial_reconnect_delay: 20 })
  await once(connection, 'connection_open')
  try {
    const back = await flipSides({ mover, direction: 'reverse', budgetMs: 8_000 })
    expect(back.decision.outcome).toBe('aborted')
    expect(String(back.error)).toMatch(/risk-service \(amqp\)/)
  } finally {
    connection.close()
  }
})
