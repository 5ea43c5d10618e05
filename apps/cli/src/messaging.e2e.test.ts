/**
 * Goal: the queues of a RabbitMQ go over, come back and go over again by the verbs of the command line, from the plan that
 * was printed, edited and saved; every message reaches exactly one side, in its order.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { moverUrl, TestClient } from '@replatform/connector-rabbitmq/test-fixtures/broker-rig'
import type { Operation } from '@replatform/control/api-types'
import { type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { expect, test } from 'vitest'
import { CliRig } from './test-fixtures/cli-rig.ts'

const app = { user: 'wallet', password: 'wallet-password' }
const store = 'events'

async function openStage() {
  await using opened = new AsyncDisposableStack()
  const [old, fresh] = await Promise.all([startRabbitmq(), startRabbitmq()])
  opened.use(old)
  opened.use(fresh)
  const { management } = old
  await management.call('PUT', `users/${app.user}`, { password: app.password, tags: '' })
  await management.call('PUT', `permissions/%2F/${app.user}`, { configure: '.*', write: '.*', read: '.*' })
  await management.call('PUT', 'exchanges/%2F/transfers', { type: 'topic', durable: true })
  for (const [queue, key] of [
    ['risk', 'transfer.*'],
    ['settlement', '#'],
  ] as const) {
    await management.call('PUT', `queues/%2F/${queue}`, { durable: true })
    await management.call('POST', `bindings/%2F/e/transfers/q/${queue}`, { routing_key: key })
  }
  const estate = {
    estate: 'wallet',
    stores: {
      [store]: {
        source: { kind: 'rabbitmq', url: 'env:EVENTS_OLD' },
        target: { kind: 'rabbitmq', url: 'env:EVENTS_NEW' },
        topology: 'events.yaml',
      },
    },
    waves: [{ name: 'messages', phase: 'rehost', moves: [store], pauseBudget: '60s' }],
  }
  const env = { EVENTS_OLD: moverUrl(old), EVENTS_NEW: moverUrl(fresh) }
  const rig = opened.use(await CliRig.create({ estate, env }))
  const all = opened.move()
  return { rig, old, fresh, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function publish(server: RabbitmqServer, from: number, count: number): Promise<void> {
  await using client = await TestClient.open(server.url(app))
  await client.channel.confirmSelect()
  for (let n = from; n < from + count; n++) {
    const properties = { deliveryMode: 2, messageId: `t-${n}` }
    await client.channel.basicPublish('transfers', 'transfer.done', String(n), properties)
  }
}

async function bodies(server: RabbitmqServer, queue: string): Promise<number[]> {
  await using client = await TestClient.open(server.url(app))
  return (await client.drain(queue)).map(({ body }) => Number(body))
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index)

test('queues go over, back and over again from a plan that a person edited', { timeout: 300_000 }, async () => {
  await using stage = await openStage()
  const { rig, old, fresh } = stage
  await rig.worker()
  const perform = async (...args: string[]): Promise<Operation> => {
    const done = await rig.json(...args)
    expect([done.code, done.document.error ?? null], done.err).toEqual([0, null])
    return done.document
  }
  const settled = (state: string) =>
    rig.until(`it is ${state}`, (now) => now.state === state && !now.paused && now.follow?.lagBytes === 0)

  const printed = await rig.run('topology', store)
  expect(printed.code, printed.err).toBe(0)
  const file = join(rig.folder, 'events.yaml')
  await writeFile(file, printed.out.replace(/tap: \d+/g, 'tap: 1').replace('carry: cutover', 'carry: later'))
  const wrong = await rig.run('start', store, '--until', 'in-sync')
  const line = (await readFile(file, 'utf8')).split('\n').findIndex((one) => one.includes('carry: later')) + 1
  expect(wrong.code).not.toBe(0)
  expect(wrong.err).toContain(`line ${line} of events.yaml`)
  await writeFile(file, printed.out.replace(/tap: \d+/g, 'tap: 1'))

  await publish(old, 1, 100)
  const started = await rig.run('start', store, '--until', 'in-sync')
  expect(started.code, started.err).toBe(0)
  await publish(old, 101, 100)
  await perform('rehearse', 'messages')
  await settled('in-sync')
  expect((await perform('cutover', '--wave', 'messages')).result).toMatchObject({ cutover: { outcome: 'committed' } })
  await expect(publish(old, 0, 1)).rejects.toThrow()
  expect(await bodies(fresh, 'risk')).toEqual(numbers(1, 200))
  await publish(fresh, 201, 100)

  await settled('reversing')
  await perform('rollback', '--wave', 'messages')
  await settled('rolled-back')
  await expect(publish(fresh, 0, 1)).rejects.toThrow()
  expect(await bodies(old, 'risk')).toEqual(numbers(201, 100))
  await publish(old, 301, 100)

  await perform('cutover', '--wave', 'messages')
  await settled('reversing')
  await perform('finalize', '--wave', 'messages')
  expect(await bodies(fresh, 'risk')).toEqual(numbers(301, 100))
  // Nobody took anything from this one on either side.
  expect(await bodies(fresh, 'settlement')).toEqual(numbers(1, 400))
})
