/**
 * Goal: like for like to RabbitMQ 4.0, over and back: what it lacks is told and left out, and every message crosses in
 * both directions. Skipped with its reason where that version cannot be had.
 */
import { flipSides } from '@replatform/testkit/flip-sides'
import { rabbitmq4Files } from '@replatform/testkit/rabbitmq4-distribution'
import { expect, test } from 'vitest'
import { startBrokerRig, TestMove } from './test-fixtures/broker-rig.ts'

const reason = await rabbitmq4Files().then(
  () => undefined,
  (error: Error) => error.message.split('\n')[0],
)

test('a move to RabbitMQ 4.0 and home again', { timeout: 240_000 }, async (context) => {
  if (reason) context.skip(`no RabbitMQ 4.0: ${reason}`)
  await using rig = await startBrokerRig({ next: { version: '4.0' } })
  const move = await TestMove.create(rig, 'newer')
  await move.declareQueue('old', 'payments', { 'x-max-priority': 5 })
  await move.declareQueue('old', 'settled', { 'x-queue-type': 'quorum' })
  const mirrored = { 'ha-mode': 'all', 'dead-letter-exchange': '', 'dead-letter-routing-key': 'settled' }
  const policy = { 'pattern': '^payments$', 'apply-to': 'queues', 'definition': mirrored, 'priority': 0 }
  await move.call('old', 'PUT', 'policies/{vhost}/mirrored', policy)
  const bodies = Array.from({ length: 1_000 }, (_, index) => String(index))
  {
    await using app = await move.connect('old')
    for (const queue of ['payments', 'settled']) {
      await app.publish(queue, bodies, { messageId: 'm', headers: { a: 1n, b: true, c: 'd' } })
    }
  }

  const assessing = move.createMover()
  const findings = await assessing.assess()
  await assessing[Symbol.asyncDispose]()
  expect(findings.filter(({ severity }) => severity === 'blocker')).toEqual([])
  const consequences = findings.find(({ id }) => id === 'rabbitmq.consequences')
  expect(consequences?.title).toMatch(/RabbitMQ 4\.0/)
  expect(consequences?.evidence.join()).toContain('The target refuses ha-mode')

  await using mover = await move.startMover()
  void mover.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await mover.waitFor((event) => event.event === 'follow')
  const over = await flipSides({ mover, direction: 'forward' })
  expect(over.error).toBeNull()
  const applied = (await move.call('next', 'GET', 'policies/{vhost}/mirrored')) as { definition: object }
  expect(applied.definition).toEqual({ 'dead-letter-exchange': '', 'dead-letter-routing-key': 'settled' })
  void mover.client.call('run', { direction: 'reverse', state: 'reversing' }).catch(() => {})
  {
    await using app = await move.connect('next')
    expect(await app.depth('settled')).toBe(bodies.length)
    const received = await app.drain('payments')
    expect(received.map(({ body }) => body)).toEqual(bodies)
    expect(received[0]?.properties).toMatchObject({ messageId: 'm', headers: { b: true, c: 'd' } })
    await app.publish('payments', ['new'])
  }
  const back = await flipSides({ mover, direction: 'reverse' })
  expect(back.error).toBeNull()
  await using app = await move.connect('old')
  expect((await app.drain('payments')).map(({ body }) => body)).toEqual(['new'])
  expect(await app.depth('settled')).toBe(bodies.length)
})
