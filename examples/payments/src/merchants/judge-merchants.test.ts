/**
 * Goal: every corruption that a move of the merchants' database could cause is found.
 * Method: one short load gives a database, a ledger and a journal; each test damages a clone of the database or of the
 * ledger as a bad move would, and holds the whole set of counts against what that damage must show.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JournalWriter } from '../journal.ts'
import { LoadClock } from '../load-clock.ts'
import { OperationStatistics } from '../operation-statistics.ts'
import { PatientClient } from '../patient-client.ts'
import { SeededRandom } from '../seeded-random.ts'
import { judgeMerchants, type MerchantsCorruption } from './judge-merchants.ts'
import type { MerchantsLine } from './merchants-journal.ts'
import { MerchantsLoad } from './merchants-load.ts'
import { settle } from './settlement.ts'
import { type MerchantStage, startMerchantStage } from './test-merchants.ts'

const directory = mkdtempSync(join(tmpdir(), 'judge-merchants-'))
const journal = join(directory, 'merchants.journal')
let stage: MerchantStage
let clones = 0

beforeAll(async () => {
  stage = await startMerchantStage()
  await sellForAWhile()
  await settle(stage.database, new Date(Date.now() + 86_400_000).toISOString().slice(0, 10))
}, 180_000)
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

async function sellForAWhile(): Promise<void> {
  const writer = new JournalWriter<MerchantsLine>(journal)
  using client = new PatientClient({ url: stage.url, timeoutMs: 30_000, attempts: 3 })
  const clock = new LoadClock()
  const random = new SeededRandom(11)
  const statistics = new OperationStatistics()
  const account = () => 1005 + random.below(30)
  const sellers = [1001, 1002]
  const load = new MerchantsLoad({ client, journal: writer, clock, random, statistics, account, sellers, ipnUrl: '' })
  await load.onboard()
  writer.write(clock.runLine(11, 40))
  // In rounds, since most visits do more when an earlier one has ended: a slow machine shall bring about the same.
  for (let round = 0; round < 8; round++) {
    await Promise.all(Array.from({ length: 10 }, () => load.visit(clock.nowMs())))
  }
  writer.close()
  expect(statistics.differing).toBe(0)
  expect(statistics.figures()).toMatchObject({ payment: { unknown: 0 }, refund: { unknown: 0 } })
}

type Found = Partial<Record<MerchantsCorruption, number>>

async function foundIn(options: { url?: string; ledgerUrl?: string } = {}): Promise<Found> {
  const { databaseUrl: url, ledgerUrl } = stage
  const { found } = await judgeMerchants({ journals: [journal], url, ledgerUrl, ...options })
  return Object.fromEntries(Object.entries(found).filter(([, count]) => count > 0))
}

const tables = ['merchants', 'api_keys', 'requests', 'orders', 'operations', 'settlements', 'ipn_deliveries']

/** Clones the database without its foreign keys, damages the clone, and says what is found. */
async function foundWith(...damage: readonly string[]): Promise<Found> {
  const name = `clone_${++clones}`
  const copies = tables.flatMap((table) => [
    `CREATE TABLE ${name}.${table} LIKE merchants.${table}`,
    `INSERT INTO ${name}.${table} SELECT * FROM merchants.${table}`,
  ])
  await using connection = await stage.mariadb.connect(stage.databaseUrl)
  for (const sql of [`CREATE DATABASE ${name}`, ...copies, `USE ${name}`, ...damage]) await connection.query(sql)
  return await foundIn({ url: stage.mariadb.url(name) })
}

/** Of orders that were paid at once and not refunded, the first. */
const plain = `(SELECT min(order_id) FROM (SELECT order_id FROM operations GROUP BY order_id HAVING count(*) = 1) x)`
const unpaid = `(SELECT id FROM (SELECT min(id) AS id FROM orders WHERE state = 'open') x)`
const oneRefund = `(SELECT id FROM (SELECT min(id) AS id FROM operations WHERE kind = 'refund' AND state = 'done') x)`

test('nothing is found where nobody has touched anything', async () => {
  expect(await foundIn()).toEqual({})
  const { databaseUrl: url, ledgerUrl } = stage
  const { judged } = await judgeMerchants({ journals: [journal], url, ledgerUrl })
  expect(judged.settlements).toBe(2)
  expect(judged.operations).toBeGreaterThan(100)
})

describe('the judge finds', () => {
  test('an order that is lost', async () => {
    expect(await foundWith(`DELETE FROM orders WHERE id = ${unpaid}`)).toEqual({ lost: 1 })
  })

  test('an order that stands there twice', async () => {
    const columns = 'merchant_id, order_ref, request_id, amount, info, ipn_url, auto_capture, qr, state'
    const found = await foundWith(
      'ALTER TABLE orders DROP INDEX merchant_id',
      `INSERT INTO orders (${columns}) SELECT ${columns} FROM orders WHERE id = ${unpaid}`,
    )
    expect(found).toEqual({ doubled: 1 })
  })

  test('an order with another amount', async () => {
    expect(await foundWith(`UPDATE orders SET amount = amount + 1 WHERE id = ${unpaid}`)).toEqual({ altered: 1 })
  })

  test('codes that lead to another bank account', async () => {
    const found = await foundWith(`UPDATE orders SET qr = replace(qr, '970418', '970407') WHERE id = ${unpaid}`)
    expect(found).toEqual({ altered: 1 })
  })

  test('an order that was paid and is open again', async () => {
    const found = await foundWith(`UPDATE orders SET state = 'open' WHERE id = ${plain}`)
    expect(found).toEqual({ lost: 1, stateWrong: 1 })
  })

  test('an order that nobody made', async () => {
    const found = await foundWith(`INSERT INTO orders (merchant_id, order_ref, request_id, amount, info, ipn_url,
      auto_capture, qr) SELECT merchant_id, 'forged', 'forged', amount, info, ipn_url, auto_capture, qr FROM orders LIMIT 1`)
    expect(found).toEqual({ unasked: 1 })
  })

  test('a refund that is lost', async () => {
    const found = await foundWith(
      `DELETE FROM ipn_deliveries WHERE operation_id = ${oneRefund}`,
      `DELETE FROM operations WHERE id = ${oneRefund}`,
    )
    expect(found).toEqual({ onlyInLedger: 1, settlementWrong: 1 })
  })

  test('a capture that is there twice', async () => {
    const columns = 'order_id, merchant_id, kind, reference, amount, state, transfer, happened_at'
    const found = await foundWith(
      'ALTER TABLE operations DROP INDEX reference',
      `INSERT INTO operations (${columns}) SELECT ${columns} FROM operations WHERE order_id = ${plain}`,
    )
    expect(found).toEqual({ doubled: 1, stateWrong: 1, noticesWrong: 1 })
  })

  test('a capture with another amount', async () => {
    const found = await foundWith(`UPDATE operations SET amount = amount - 1 WHERE order_id = ${plain}`)
    expect(found).toEqual({ differsFromLedger: 1, settlementWrong: 1 })
  })

  test('two operations that have changed their numbers', async () => {
    const found = await foundWith(
      `UPDATE operations p JOIN operations x ON x.id <> p.id
          SET p.transfer = x.transfer
        WHERE p.id = ${oneRefund} AND x.order_id = ${plain}`,
    )
    expect(found).toEqual({ differsFromLedger: 1 })
  })

  test('an operation that has fallen back to what it was before it was done', async () => {
    const found = await foundWith(
      `UPDATE operations SET state = 'asked', transfer = NULL, happened_at = NULL, settlement_id = NULL
        WHERE id = ${oneRefund}`,
    )
    expect(found).toEqual({ onlyInLedger: 1, settlementWrong: 1, noticesWrong: 1, unfinished: 1 })
  })

  test('a settlement with another sum', async () => {
    expect(await foundWith('UPDATE settlements SET amount = amount + 1 LIMIT 1')).toEqual({ settlementWrong: 1 })
  })

  test('a settlement that is there twice', async () => {
    const columns = 'merchant_id, day, captured, refunded, amount'
    const found = await foundWith(
      'ALTER TABLE settlements DROP INDEX merchant_id',
      `INSERT INTO settlements (${columns}) SELECT ${columns} FROM settlements LIMIT 1`,
    )
    expect(found).toEqual({ settlementWrong: 1 })
  })

  test('an operation that is settled for another merchant', async () => {
    const found = await foundWith(`UPDATE operations SET settlement_id = 3 - settlement_id WHERE order_id = ${plain}`)
    // Of the settlement that lost it, and the operation itself.
    expect(found).toEqual({ settlementWrong: 2 })
  })

  test('an operation that has lost its settlement', async () => {
    const found = await foundWith(`UPDATE operations SET settlement_id = NULL WHERE order_id = ${plain}`)
    expect(found).toEqual({ settlementWrong: 1 })
  })

  test('answers that are gone, or are others', async () => {
    expect(await foundWith('DELETE FROM requests LIMIT 2')).toEqual({ answersMissing: 2 })
    expect(await foundWith(`UPDATE requests SET answer = concat(answer, ' ') LIMIT 3`)).toEqual({ answersDiffer: 3 })
  })

  test('a notice that is gone', async () => {
    expect(await foundWith('DELETE FROM ipn_deliveries LIMIT 1')).toEqual({ noticesWrong: 1 })
  })

  test('a capture under another reference than the ledger’s', async () => {
    const found = await foundWith(`UPDATE operations SET reference = concat(reference, 'x') WHERE order_id = ${plain}`)
    expect(found).toEqual({ notInLedger: 1, onlyInLedger: 1 })
  })
})
