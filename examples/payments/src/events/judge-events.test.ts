/**
 * Goal: every corruption that a move of the broker, the ledger or the consumers' store could cause is found.
 * Method: one short run gives an outbox and its consumers; each test damages a clone of one of them.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { query } from '../test-wallet.ts'
import { openBroker } from './broker.ts'
import { EventMetrics } from './event-metrics.ts'
import { type EventsCorruption, judgeEvents } from './judge-events.ts'
import { OutboxRelay } from './outbox-relay.ts'
import { type EventStage, pay, retryMs, startEventStage } from './test-events.ts'
import { declareTopology, queuesOf } from './topology.ts'

let stage: EventStage
let clones = 0

beforeAll(async () => {
  stage = await startEventStage()
  await pay(stage.ledgerUrl, 'judged', 60)
  const wallet = stage.ledgerUrl
  await query(wallet, `SELECT ledger.hold('judged-hold', '\\x', 1001, 1002, 500)`)
  await query(wallet, `SELECT ledger.close_hold('judged-capture', '\\x', 'capture', 1)`)
  await using _service = stage.startService()
  await vi.waitUntil(() => stage.isSettled(), { timeout: 30_000, interval: 50 })
})
afterAll(async () => await stage[Symbol.asyncDispose]())

type Found = Partial<Record<EventsCorruption, number>>

async function foundIn(options: { ledgerUrl?: string; consumersUrl?: string } = {}): Promise<Found> {
  const { ledgerUrl, consumersUrl, broker } = stage
  const { found } = await judgeEvents({ ledgerUrl, consumersUrl, brokerUrl: broker.url(), ...options })
  return Object.fromEntries(Object.entries(found).filter(([, count]) => count > 0))
}

async function damaged(database: 'wallet' | 'consumers', sql: string): Promise<string> {
  const name = `clone_${++clones}`
  // A pool closes its connections a moment after it says so.
  await vi.waitFor(() => query(stage.database.url('postgres'), `CREATE DATABASE ${name} TEMPLATE ${database}`), 10_000)
  const url = stage.database.url('postgres', name)
  await query(url, `SET session_replication_role = replica; ${sql}`)
  return url
}

const foundInConsumers = async (sql: string) => await foundIn({ consumersUrl: await damaged('consumers', sql) })
const foundInOutbox = async (sql: string) => await foundIn({ ledgerUrl: await damaged('wallet', sql) })
const last = (consumer: string) => `(SELECT max(event) FROM consumers.inbox WHERE consumer = '${consumer}')`

test('nothing is found where nobody has touched anything', async () => {
  expect(await foundIn()).toEqual({})
})

describe('a consumer', () => {
  test('that has lost an event, with its effect', async () => {
    const found = await foundInConsumers(`
      DELETE FROM consumers.notifications WHERE event = ${last('notification')};
      DELETE FROM consumers.inbox WHERE consumer = 'notification' AND event = ${last('notification')}`)
    expect(found).toEqual({ lost: 1 })
  })

  test('that has lost the effect only', async () => {
    const found = await foundInConsumers(`DELETE FROM consumers.documents WHERE event = ${last('search-index')}`)
    expect(found).toEqual({ effectWrong: 1 })
  })

  test('in which an event has had its effect twice', async () => {
    const found = await foundInConsumers(`UPDATE consumers.exposures SET payments = payments + 1, volume = volume + 10
                                           WHERE account = 1003`)
    expect(found).toEqual({ effectWrong: 1 })
  })

  test('that has taken an event twice', async () => {
    const found = await foundInConsumers(`
      ALTER TABLE consumers.inbox DROP CONSTRAINT inbox_pkey;
      INSERT INTO consumers.inbox (consumer, event, topic, subject, payload)
      SELECT consumer, event, topic, subject, payload FROM consumers.inbox
       WHERE consumer = 'settlement' AND event = ${last('settlement')}`)
    // The last of them is the capture, which is then worth two.
    expect(found).toEqual({ doubled: 1, effectWrong: 1 })
  })

  test('whose settlement was doubled', async () => {
    const found = await foundInConsumers('UPDATE consumers.settlement_items SET amount = amount * 2')
    expect(found).toEqual({ effectWrong: 1 })
  })

  test('that has an event with another amount', async () => {
    const found = await foundInConsumers(`UPDATE consumers.inbox SET payload = jsonb_set(payload, '{amount}', '11')
                                           WHERE consumer = 'settlement' AND subject = 'judged-7'`)
    expect(found).toEqual({ altered: 1 })
  })

  test('that took two events of one account in the wrong order', async () => {
    const found = await foundInConsumers(`
      UPDATE consumers.inbox i SET ordinal = DEFAULT WHERE consumer = 'risk' AND subject = 'judged-7'`)
    // Later events of both its accounts had been taken before.
    expect(found).toEqual({ reordered: 1 })
  })

  test('that took an event which the ledger never sent', async () => {
    const found = await foundInConsumers(`
      INSERT INTO consumers.inbox (consumer, event, topic, subject, payload)
      VALUES ('settlement', 9999, 'payments.v1.transfer', 'forged', '{"kind": "transfer", "amount": 1,
              "debit": {"account": 1, "seq": 999}, "credit": {"account": 2, "seq": 999}}')`)
    expect(found).toEqual({ unasked: 1 })
  })
})

describe('the outbox', () => {
  const one = `subject = 'judged-7'`

  test('from which an event is lost', async () => {
    expect(await foundInOutbox(`DELETE FROM ledger.outbox WHERE ${one}`)).toEqual({ outboxMissing: 1, unasked: 4 })
  })

  test('in which an event stands twice', async () => {
    const found = await foundInOutbox(`INSERT INTO ledger.outbox (topic, subject, payload, published_at)
      SELECT topic, subject, payload, now() FROM ledger.outbox WHERE ${one}`)
    expect(found).toEqual({ outboxDoubled: 1, lost: 4 })
  })

  test('in which an event was altered', async () => {
    const found = await foundInOutbox(
      `UPDATE ledger.outbox SET payload = jsonb_set(payload, '{amount}', '11') WHERE ${one}`,
    )
    expect(found).toEqual({ outboxWrong: 1, altered: 4 })
  })

  test('in which an event has come back that had been published', async () => {
    expect(await foundInOutbox(`UPDATE ledger.outbox SET published_at = null WHERE ${one}`)).toEqual({
      unpublished: 1,
      unasked: 4,
    })
  })

  test('in which two events of one account have changed places', async () => {
    const found = await foundInOutbox(`
      UPDATE ledger.outbox o SET payload = x.payload, subject = x.subject
        FROM ledger.outbox x
       WHERE (o.subject, x.subject) IN (('judged-7', 'judged-8'), ('judged-8', 'judged-7'))`)
    expect(found).toEqual({ altered: 8 })
  })
})

describe('the broker', () => {
  const url = () => stage.broker.url()

  test('in which messages are left, or were given up', async () => {
    await using broker = await openBroker(url(), 'test')
    const { main, dead } = queuesOf('risk')
    await broker.channel.basicPublish('', main, 'left', { deliveryMode: 2 })
    await broker.channel.basicPublish('', dead, 'given up', { deliveryMode: 2 })
    expect(await foundIn()).toEqual({ stranded: 1, deadLettered: 1 })
    await broker.channel.queuePurge(main)
    await broker.channel.queuePurge(dead)
  })

  test('whose retry queue no longer lets messages go back when their time is over', async () => {
    await using broker = await openBroker(url(), 'test')
    const { retry } = queuesOf('risk')
    await broker.channel.queueDelete(retry)
    await broker.channel.queueDeclare(retry, { durable: true })
    await broker.channel.basicPublish('', retry, 'late', { deliveryMode: 2 })
    expect(await foundIn()).toEqual({ stranded: 1 })
    await broker.channel.queueDelete(retry)
    await declareTopology(broker.channel, retryMs)
  })

  test('that has lost a confirmed message, and with it all that comes after it for its accounts', async () => {
    const options = { ledgerUrl: stage.ledgerUrl, brokerUrl: url(), retryMs, metrics: new EventMetrics() }
    const relay = new OutboxRelay({ ...options, onFailure: () => undefined })
    const stop = new AbortController()
    const relaying = relay.run(stop.signal)
    await pay(stage.ledgerUrl, 'swallowed', 1)
    const left = 'SELECT FROM ledger.outbox WHERE published_at IS NULL'
    await vi.waitUntil(async () => (await query(stage.ledgerUrl, left)).length === 0, { timeout: 10_000 })
    stop.abort()
    await relaying
    await using broker = await openBroker(url(), 'test')
    await broker.channel.queuePurge(queuesOf('risk').main)
    await pay(stage.ledgerUrl, 'after', 1)
    await using _service = stage.startService({ rounds: 2 })
    await vi.waitFor(async () => expect(await foundIn()).toEqual({ lost: 2, deadLettered: 1 }), 20_000)
  })
})
