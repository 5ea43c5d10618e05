import { AMQPClient } from '@cloudamqp/amqp-client'
import { TcpProxy } from '@replatform/testkit/tcp-proxy'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { query } from '../test-wallet.ts'
import { judgeEvents } from './judge-events.ts'
import { type EventStage, pay, startEventStage } from './test-events.ts'
import { queuesOf } from './topology.ts'

let stage: EventStage

beforeAll(async () => {
  stage = await startEventStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

/** Whatever a test did to the way, each event has had its effect once. */
afterEach(async () => {
  const { ledgerUrl, consumersUrl, broker } = stage
  const verdict = await judgeEvents({ ledgerUrl, consumersUrl, brokerUrl: broker.url() })
  expect(verdict).toMatchObject({ verdict: 'clean', judged: { messages: 0 } })
  expect(verdict.judged.taken).toBe(4 * (verdict.judged.events ?? 0))
})

const settled = { timeout: 30_000, interval: 50 }

test('every event reaches every consumer, and the service says how it is', async () => {
  await pay(stage.ledgerUrl, 'plain', 300)
  await using service = stage.startService()
  await vi.waitUntil(() => stage.isSettled(), settled)
  await vi.waitUntil(async () => (await service.app.inject('/health/ready')).statusCode === 200, settled)
  const metrics = (await service.app.inject('/metrics')).body
  expect(metrics).toContain('events_published_total 300')
  expect(metrics).toContain('events_handled_total{consumer="risk",handling="done"} 300')
})

test('connections that drop again and again cost nothing but time', async () => {
  await using proxy = new TcpProxy(stage.broker)
  await proxy.listen()
  await using _service = stage.startService({ brokerUrl: proxy.url(stage.broker.url()) })
  for (let n = 0; n < 6; n++) {
    await pay(stage.ledgerUrl, `cut-${n}`, 100)
    await vi.waitUntil(() => proxy.connections > 3, settled)
    proxy.cut()
  }
  await vi.waitUntil(() => stage.isSettled(), settled)
})

test('a relay that dies between the broker’s confirmation and its own mark sends events twice, with effect once', async () => {
  await using _service = stage.startService()
  await vi.waitUntil(() => stage.isSettled(), settled)
  await query(
    stage.database.url('wallet_owner', 'wallet'),
    `UPDATE ledger.outbox SET published_at = null WHERE payload ? 'debit'`,
  )
  const left = `SELECT FROM ledger.outbox WHERE published_at IS NULL LIMIT 1`
  await vi.waitUntil(async () => (await query(stage.ledgerUrl, left)).length === 0, settled)
  await vi.waitUntil(async () => (await waiting()) === 0, settled)
})

test('a consumer whose store is away waits for it', async () => {
  await using _service = stage.startService()
  const admin = stage.database.url('postgres')
  await query(admin, 'ALTER DATABASE consumers ALLOW_CONNECTIONS false')
  await query(admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'consumers'`)
  await pay(stage.ledgerUrl, 'away', 50)
  const left = `SELECT FROM ledger.outbox WHERE published_at IS NULL LIMIT 1`
  await vi.waitUntil(async () => (await query(stage.ledgerUrl, left)).length === 0, settled)
  await query(admin, 'ALTER DATABASE consumers ALLOW_CONNECTIONS true')
  await vi.waitUntil(() => stage.isSettled(), settled)
})

test('an event that fails goes round, and those of its accounts after it, in order', async () => {
  await query(stage.consumersUrl, 'ALTER TABLE consumers.exposures RENAME TO exposures_away')
  await using service = stage.startService()
  await pay(stage.ledgerUrl, 'round', 20)
  const went = async () => (await service.app.inject('/metrics')).body.includes('consumer="risk",handling="later"')
  await vi.waitUntil(went, settled)
  await query(stage.consumersUrl, 'ALTER TABLE consumers.exposures_away RENAME TO exposures')
  await vi.waitUntil(() => stage.isSettled(), settled)
  await vi.waitUntil(async () => (await waiting()) === 0, settled)
})

test('what is no event is a dead letter, at once and alone', async () => {
  await using _service = stage.startService()
  const client = new AMQPClient(stage.broker.url())
  const channel = await (await client.connect()).channel()
  await channel.basicPublish('', queuesOf('risk').main, 'no event', { deliveryMode: 2 })
  await pay(stage.ledgerUrl, 'poison', 20)
  await vi.waitUntil(() => stage.isSettled(), settled)
  const letter = await vi.waitUntil(() => channel.basicGet(queuesOf('risk').dead, { noAck: true }), settled)
  expect(letter.bodyString()).toBe('no event')
  await client.close()
})

/** Messages in all queues. */
async function waiting(): Promise<number> {
  const { ledgerUrl, consumersUrl, broker } = stage
  const { judged } = await judgeEvents({ ledgerUrl, consumersUrl, brokerUrl: broker.url() })
  return judged.messages ?? Number.NaN
}
