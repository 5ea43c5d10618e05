import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { opening, query } from '../test-wallet.ts'
import { deliverNotices } from './notices.ts'
import { Orders } from './orders.ts'
import { settle } from './settlement.ts'
import { isSigned, type Signed } from './signature.ts'
import { type MerchantStage, newOrder, openShop, type Shop, signed, startMerchantStage } from './test-merchants.ts'
import { parseVietQr } from './vietqr.ts'
import { type WalletAnswer, WalletApi, type WalletHold } from './wallet-api.ts'

let stage: MerchantStage
let shop: Shop
const shopAccount = 1001

beforeAll(async () => {
  stage = await startMerchantStage()
  shop = await openShop(stage, shopAccount)
})
afterAll(async () => await stage[Symbol.asyncDispose]())

const create = async (values: Signed, also?: Signed) =>
  (await stage.ask('/v2/gateway/api/create', signed(shop, values, also))).body
const pay = async (orderId: string, payer: number) =>
  await stage.ask('/v1/payments', { partnerCode: shop.partnerCode, orderId, payer })
const confirm = async (values: Signed) =>
  (await stage.ask('/v2/gateway/api/confirm', signed(shop, { description: '', ...values }))).body
const refund = async (values: Signed) =>
  (await stage.ask('/v2/gateway/api/refund', signed(shop, { description: '', ...values }))).body

async function balance(account: number): Promise<number> {
  const [row] = await query<{ balance: string }>(stage.ledgerUrl, 'SELECT balance FROM ledger.accounts WHERE id = $1', [
    account,
  ])
  return Number(row?.balance)
}

describe('an order', () => {
  test('shows a code that any bank reads, and is paid once however often it is asked', async () => {
    const order = await create(newOrder('bowl-1', 50_000))
    expect(order).toMatchObject({ resultCode: 0, orderId: 'bowl-1', amount: 50_000 })
    expect(parseVietQr(String(order.qrCodeUrl))).toEqual({
      bankBin: '970418',
      bankAccount: '6254046383',
      amount: 50_000n,
      purpose: 'bowl-1',
    })
    const before = await balance(shopAccount)
    const answers = await Promise.all([pay('bowl-1', 1002), pay('bowl-1', 1002), pay('bowl-1', 1002)])
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(await balance(shopAccount)).toBe(before + 50_000)
    expect((await pay('bowl-1', 1003)).body).toEqual({ resultCode: 1080 })
  })

  test('with a wrong signature is none', async () => {
    const forged = { ...signed(shop, newOrder('forged', 50_000)), amount: 1 }
    expect((await stage.ask('/v2/gateway/api/create', forged)).body).toMatchObject({ resultCode: 11 })
    expect((await pay('forged', 1002)).status).toBe(404)
  })

  test('asked for again gets the same answer; another under its numbers is refused', async () => {
    const first = await create(newOrder('bowl-2', 10_000))
    expect(await create(newOrder('bowl-2', 10_000))).toEqual(first)
    expect(await create(newOrder('bowl-2', 10_001))).toMatchObject({ resultCode: 40 })
    expect(await create({ ...newOrder('bowl-2', 10_001), requestId: 'other' })).toMatchObject({ resultCode: 41 })
  })

  test('that the payer has not the money for has failed', async () => {
    await create(newOrder('feast', opening * 100))
    expect(await pay('feast', 1004)).toEqual({ status: 422, body: { resultCode: 1001 } })
    expect(await balance(1004)).toBe(opening)
  })

  test('half paid when the service died is finished afterwards, once', async () => {
    await create(newOrder('bowl-3', 7000))
    // As if it had died right after it noted who pays.
    await stage.mariadb.query(
      `UPDATE orders SET state = 'paying', payer = 1005, created_at = created_at - INTERVAL 1 MINUTE
        WHERE order_ref = 'bowl-3'`,
      'merchants',
    )
    expect(await stage.orders.finishPending(5)).toBe(1)
    expect(await stage.orders.finishPending(5)).toBe(0)
    expect((await pay('bowl-3', 1005)).status).toBe(201)
    expect(await balance(1005)).toBe(opening - 7000)
  })
})

test('a payment that comes to its end late does not undo what was captured meanwhile', async () => {
  await create(newOrder('slow', 9000), { autoCapture: false })
  const [order] = await stage.mariadb.query(`SELECT id FROM orders WHERE order_ref = 'slow'`, 'merchants')
  const { promise: captured, resolve: goOn } = Promise.withResolvers<void>()
  using wallet = new LateWallet(stage.wallet.url, captured)
  const late = new Orders(stage.database, wallet).pay(Number(order?.id), 1008)
  await wallet.asked
  expect((await pay('slow', 1008)).body).toMatchObject({ resultCode: 9000 })
  const capture = { orderId: 'slow', requestId: 'c-slow', requestType: 'capture', amount: 9000 }
  expect(await confirm(capture)).toMatchObject({ resultCode: 0 })
  goOn()
  await late
  const [after] = await stage.mariadb.query(`SELECT state FROM orders WHERE order_ref = 'slow'`, 'merchants')
  expect(after).toEqual({ state: 'paid' })
})

/** Has its answers, but does not tell of them before it may. */
class LateWallet extends WalletApi {
  readonly #until: Promise<void>
  readonly #asked = Promise.withResolvers<void>()

  constructor(url: string, until: Promise<void>) {
    super(url)
    this.#until = until
  }

  get asked(): Promise<void> {
    return this.#asked.promise
  }

  override async hold(reference: string, hold: WalletHold): Promise<WalletAnswer> {
    const answer = await super.hold(reference, hold)
    this.#asked.resolve()
    await this.#until
    return answer
  }
}

test('a merchant captures a part and lets the rest go, then refunds up to what was captured', async () => {
  await create(newOrder('table', 100_000), { autoCapture: false })
  expect((await pay('table', 1006)).body).toMatchObject({ resultCode: 9000 })
  const part = { orderId: 'table', amount: 60_000 }
  const captured = await confirm({ ...part, requestId: 'c-1', requestType: 'capture' })
  expect(captured).toMatchObject({ resultCode: 0, amount: 60_000 })
  const released = await confirm({ ...part, requestId: 'c-2', requestType: 'cancel' })
  expect(released).toMatchObject({ resultCode: 0, amount: 40_000 })
  expect(await balance(1006)).toBe(opening - 60_000)
  const transId = String(captured.transId)
  expect(await refund({ orderId: 'table', requestId: 'b-1', transId, amount: 20_000 })).toMatchObject({ resultCode: 0 })
  expect(await refund({ orderId: 'table', requestId: 'b-2', transId, amount: 50_000 })).toMatchObject({
    resultCode: 1080,
  })
  expect(await balance(1006)).toBe(opening - 40_000)
})

test('a settlement is what was captured minus what was refunded, and is made once', async () => {
  // The next day in Viet Nam has begun by then, and so everything counts.
  const day = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  const settled = await settle(stage.database, day)
  expect(settled.settlements).toBe(1)
  expect(await settle(stage.database, day)).toEqual({ settlements: 0, operations: 0 })
  const [sums] = await stage.mariadb.query('SELECT captured, refunded, amount FROM settlements', 'merchants')
  expect(sums).toEqual({ captured: '126000', refunded: '20000', amount: '106000' })
})

test('a merchant is told what was paid, signed, again and again until they say so', async () => {
  const received: Record<string, string | number>[] = []
  const answers = [500, 204]
  const listener = createServer(async (request: IncomingMessage, response) => {
    received.push((await json(request)) as Record<string, string | number>)
    response.writeHead(answers.shift() ?? 500).end()
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const ipnUrl = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/ipn`
  await create(newOrder('told', 3000, ipnUrl))
  await pay('told', 1007)
  expect(await deliverNotices(stage.database)).toBe(0)
  await vi.waitUntil(async () => (await deliverNotices(stage.database)) === 1, { timeout: 10_000, interval: 100 })
  listener.close()
  expect(received).toHaveLength(2)
  const { signature, ...notice } = received[1] ?? {}
  expect(notice).toMatchObject({ partnerCode: shop.partnerCode, orderId: 'told', amount: 3000, resultCode: 0 })
  expect(isSigned({ ...notice, accessKey: shop.accessKey }, String(signature), shop.secret)).toBe(true)
})
