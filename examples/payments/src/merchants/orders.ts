import { isDuplicate, type MerchantDatabase, type Run } from './merchant-database.ts'
import type { Merchant } from './merchant-registry.ts'
import { formatVietQr } from './vietqr.ts'
import type { WalletAnswer, WalletApi } from './wallet-api.ts'

/** Result codes of the merchant API. */
export const resultCodes = {
  ok: 0,
  invalidRequest: 20,
  duplicateRequest: 40,
  duplicateOrder: 41,
  unknownOrder: 42,
  pending: 1000,
  insufficientFunds: 1001,
  refused: 1080,
  authorized: 9000,
} as const

export interface NewOrder {
  readonly requestId: string
  readonly orderRef: string
  readonly amount: number
  readonly info: string
  readonly ipnUrl: string
  readonly autoCapture: boolean
}

export interface Order {
  readonly id: number
  readonly merchant_id: number
  readonly order_ref: string
  readonly amount: number
  readonly auto_capture: number
  readonly state: 'open' | 'paying' | 'held' | 'paid' | 'failed' | 'cancelled'
  readonly payer: number | null
  readonly hold_id: number | null
  readonly ipn_url: string
  readonly wallet_account: number
}

interface Operation {
  readonly id: number
  readonly order_id: number
  readonly kind: 'capture' | 'refund' | 'release'
  readonly reference: string
  readonly amount: number
  readonly original: number | null
  readonly state: 'asked' | 'done' | 'refused'
  readonly transfer: number | null
}

export interface OperationRequest {
  readonly kind: Operation['kind']
  /** Names the operation for ever: `m:` and what makes it one of its order's. */
  readonly reference: string
  readonly amount: number
  /** Of a refund: the capture's transfer. */
  readonly original: number | null
}

export interface Outcome {
  readonly code: number
  readonly transfer?: string
  readonly amount?: number
}

const orderColumns = `
  SELECT o.id, o.merchant_id, o.order_ref, o.amount, o.auto_capture, o.state, o.payer, o.hold_id, o.ipn_url,
         m.wallet_account
    FROM orders o JOIN merchants m ON m.id = o.merchant_id`

/**
 * Orders and what is paid for them. Whatever is asked of the wallet is written down first, under a reference that never
 * changes: after a failure at any point the same is asked again, and happens once.
 */
export class Orders {
  readonly #database: MerchantDatabase
  readonly #wallet: WalletApi

  constructor(database: MerchantDatabase, wallet: WalletApi) {
    this.#database = database
    this.#wallet = wallet
  }

  async create(merchant: Merchant, order: NewOrder): Promise<{ code: number; qr?: string }> {
    const { requestId, orderRef, amount, info, ipnUrl, autoCapture } = order
    const { bankBin, bankAccount } = merchant
    const qr = formatVietQr({ bankBin, bankAccount, amount: BigInt(amount), purpose: orderRef.slice(-25) })
    const values = [merchant.id, orderRef, requestId, amount, info, ipnUrl, autoCapture, qr]
    const sql = `INSERT INTO orders (merchant_id, order_ref, request_id, amount, info, ipn_url, auto_capture, qr)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
    try {
      await this.#database.change(sql, values)
      return { code: resultCodes.ok, qr }
    } catch (error) {
      if (!isDuplicate(error)) throw error
      const [earlier] = await this.#database.rows<{ request_id: string }>(
        'SELECT request_id FROM orders WHERE merchant_id = ? AND order_ref = ?',
        [merchant.id, orderRef],
      )
      // The same request, whose answer was not kept because we died in between.
      return earlier?.request_id === requestId ? { code: resultCodes.ok, qr } : { code: resultCodes.duplicateOrder }
    }
  }

  async find(merchantId: number, orderRef: string): Promise<Order | undefined> {
    const sql = `${orderColumns} WHERE o.merchant_id = ? AND o.order_ref = ?`
    return (await this.#database.rows<Order>(sql, [merchantId, orderRef]))[0]
  }

  /** Somebody pays for an order: as a whole, or by a hold that the merchant captures later. May be repeated. */
  async pay(id: number, payer: number): Promise<Outcome> {
    const claim = `UPDATE orders SET state = 'paying', payer = ? WHERE id = ? AND state = 'open'`
    await this.#database.change(claim, [payer, id])
    const order = await this.#order(id)
    if (order === undefined) return { code: resultCodes.unknownOrder }
    if (order.payer !== payer) return { code: resultCodes.refused }
    if (order.state === 'failed') return { code: resultCodes.insufficientFunds }
    if (order.state === 'held') return { code: resultCodes.authorized }
    if (order.state !== 'paying') return { code: resultCodes.ok }
    return await this.#goOn(order)
  }

  /** Captures or releases what an order holds, or refunds what it has captured. May be repeated. */
  async operate(order: Order, request: OperationRequest): Promise<Outcome> {
    const operation = await this.#note(order.id, request)
    return await this.#carryOut(order, operation)
  }

  /** The capture of so much of this order, for a refund of it. */
  async captureOf(orderId: number, transfer: number): Promise<Operation | undefined> {
    const sql = `SELECT * FROM operations WHERE order_id = ? AND transfer = ? AND kind = 'capture'`
    return (await this.#database.rows<Operation>(sql, [orderId, transfer]))[0]
  }

  /** Finishes what an earlier failure has left half done. Returns how much there was. */
  async finishPending(olderThanSeconds: number): Promise<number> {
    const before = `created_at < current_timestamp(3) - INTERVAL ? SECOND`
    const paying = `${orderColumns} WHERE o.state = 'paying' AND o.${before} ORDER BY o.id LIMIT 100`
    const orders = await this.#database.rows<Order>(paying, [olderThanSeconds])
    for (const order of orders) await this.#goOn(order)
    const asked = `SELECT p.* FROM operations p JOIN orders o ON o.id = p.order_id
                    WHERE p.state = 'asked' AND o.state <> 'paying' AND o.${before} ORDER BY p.id LIMIT 100`
    const operations = await this.#database.rows<Operation>(asked, [olderThanSeconds])
    for (const operation of operations) {
      const order = await this.#order(operation.order_id)
      if (order) await this.#carryOut(order, operation)
    }
    return orders.length + operations.length
  }

  async #goOn(order: Order): Promise<Outcome> {
    const hold = order.hold_id ?? (await this.#hold(order))
    if (hold === undefined) return { code: resultCodes.insufficientFunds }
    if (!order.auto_capture) {
      await this.#endPaying(order.id, 'held')
      return { code: resultCodes.authorized }
    }
    const capture = {
      kind: 'capture',
      reference: `m:${order.id}:capture`,
      amount: order.amount,
      original: null,
    } as const
    return await this.operate({ ...order, hold_id: hold }, capture)
  }

  async #hold(order: Order): Promise<number | undefined> {
    if (order.payer === null) throw new Error('an order that is being paid has a payer')
    const { payer: account, wallet_account: payee, amount } = order
    const answer = await this.#wallet.hold(`m:${order.id}:hold`, { account, payee, amount })
    if (!answer.done) {
      await this.#endPaying(order.id, 'failed')
      return undefined
    }
    const hold = Number(answer.hold)
    await this.#database.change('UPDATE orders SET hold_id = ? WHERE id = ?', [hold, order.id])
    return hold
  }

  async #note(orderId: number, { kind, reference, amount, original }: OperationRequest): Promise<Operation> {
    return await this.#database.transaction(async (run) => {
      const sql = `INSERT IGNORE INTO operations (order_id, merchant_id, kind, reference, amount, original)
                   SELECT id, merchant_id, ?, ?, ?, ? FROM orders WHERE id = ?`
      await run.change(sql, [kind, reference, amount, original, orderId])
      const [operation] = await run.rows<Operation>('SELECT * FROM operations WHERE reference = ?', [reference])
      if (operation === undefined) throw new Error('an operation that was noted is not there')
      return operation
    })
  }

  async #carryOut(order: Order, operation: Operation): Promise<Outcome> {
    if (operation.state === 'refused') return { code: resultCodes.refused }
    if (operation.state === 'done') return done(operation.transfer ?? 0, operation.amount)
    const answer = await this.#askWallet(order, operation)
    if (!answer.done) {
      const refuse = `UPDATE operations SET state = 'refused' WHERE id = ?`
      await this.#database.change(refuse, [operation.id])
      return { code: resultCodes.refused }
    }
    await this.#database.transaction((run) => finish(run, { order, operation, answer }))
    return done(Number(answer.transfer), answer.amount)
  }

  async #askWallet(order: Order, { kind, reference, amount, original }: Operation): Promise<WalletAnswer> {
    if (kind === 'refund') return await this.#wallet.refund(reference, String(original), amount)
    if (kind === 'release') return await this.#wallet.release(reference, String(order.hold_id))
    return await this.#wallet.capture(reference, String(order.hold_id), amount)
  }

  async #order(id: number): Promise<Order | undefined> {
    return (await this.#database.rows<Order>(`${orderColumns} WHERE o.id = ?`, [id]))[0]
  }

  /**
   * Only from `paying`: 1. the same payment is asked twice at once, 2. one of them is answered, 3. the merchant captures,
   * 4. the other one comes to its end, and must not take the order back to before the capture.
   */
  async #endPaying(id: number, state: 'held' | 'failed'): Promise<void> {
    await this.#database.change(`UPDATE orders SET state = ? WHERE id = ? AND state = 'paying'`, [state, id])
  }
}

interface Finished {
  readonly order: Order
  readonly operation: Operation
  readonly answer: { readonly transfer: string; readonly amount: number }
}

/** What happened, the order's state, and the merchant's notice of it, together. */
async function finish(run: Run, { order, operation, answer }: Finished): Promise<void> {
  const { changed } = await run.change(
    `UPDATE operations SET state = 'done', transfer = ?, amount = ?, happened_at = current_timestamp(3)
      WHERE id = ? AND state = 'asked'`,
    [answer.transfer, answer.amount, operation.id],
  )
  // Somebody else, who asked the same, was faster.
  if (changed === 0) return
  if (operation.kind === 'capture') await run.change(`UPDATE orders SET state = 'paid' WHERE id = ?`, [order.id])
  if (operation.kind === 'release') {
    await run.change(`UPDATE orders SET state = 'cancelled' WHERE id = ? AND state = 'held'`, [order.id])
  }
  const notice = {
    orderId: order.order_ref,
    requestId: operation.reference,
    transId: answer.transfer,
    amount: answer.amount,
    type: operation.kind,
    resultCode: resultCodes.ok,
  }
  const values = [operation.id, order.ipn_url, JSON.stringify(notice)]
  await run.change('INSERT INTO ipn_deliveries (operation_id, url, body) VALUES (?, ?, ?)', values)
}

function done(transfer: number, amount: number): Outcome {
  return { code: resultCodes.ok, transfer: String(transfer), amount }
}
