import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { createServiceApp } from '../service-app.ts'
import type { MerchantDatabase } from './merchant-database.ts'
import { type Application, type MerchantKey, MerchantRegistry } from './merchant-registry.ts'
import { type OperationRequest, type Order, Orders, type Outcome, resultCodes } from './orders.ts'
import { settle } from './settlement.ts'
import { isSigned } from './signature.ts'
import type { WalletApi } from './wallet-api.ts'

const name = { type: 'string', pattern: '^[!-~]{1,64}$' }
const text = { type: 'string', maxLength: 255 }
const amount = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }
const account = amount

/** Fields that every request of a merchant has. */
interface SignedRequest {
  readonly partnerCode: string
  readonly accessKey: string
  readonly requestId: string
  readonly orderId: string
  readonly signature: string
}
interface CreateRequest extends SignedRequest {
  readonly amount: number
  readonly orderInfo: string
  readonly ipnUrl: string
  readonly autoCapture?: boolean
}
interface ConfirmRequest extends SignedRequest {
  readonly requestType: 'capture' | 'cancel'
  readonly amount: number
}
interface RefundRequest extends SignedRequest {
  readonly transId: string
  readonly amount: number
}

/** Not signed, as in the API that this one has the shape of. */
const unsigned = ['signature', 'autoCapture', 'lang']

export function createMerchantsServer(database: MerchantDatabase, wallet: WalletApi): FastifyInstance {
  const app = createServiceApp({ name: 'merchants', ready: () => database.rows('SELECT 1') })
  const registry = new MerchantRegistry(database)
  const orders = new Orders(database, wallet)
  addBackOffice(app, { database, registry, orders })
  addMerchantApi(app, new MerchantApi({ database, registry, orders }))
  return app
}

interface Parts {
  readonly database: MerchantDatabase
  readonly registry: MerchantRegistry
  readonly orders: Orders
}

/** What the company itself and its app ask for. */
function addBackOffice(app: FastifyInstance, { database, registry, orders }: Parts): void {
  const bankBin = { type: 'string', pattern: '^[0-9]{6}$' }
  const bankAccount = { type: 'string', pattern: '^[0-9A-Z]{1,19}$' }
  const partnerCode = { type: 'string', pattern: '^[!-~]{1,32}$' }
  const application = exactly({ partnerCode, name: text, walletAccount: account, bankBin, bankAccount })
  app.post<{ Body: Application }>('/v1/merchants', { schema: { body: application } }, async (request, reply) => {
    const { accessKey, secret } = await registry.onboard(request.body)
    return await reply.code(201).send({ partnerCode: request.body.partnerCode, accessKey, secret })
  })

  const payment = exactly({ partnerCode, orderId: name, payer: account })
  app.post<{ Body: { partnerCode: string; orderId: string; payer: number } }>(
    '/v1/payments',
    { schema: { body: payment } },
    async (request, reply) => {
      const { partnerCode: partner, orderId, payer } = request.body
      const sql = `SELECT o.id FROM orders o JOIN merchants m ON m.id = o.merchant_id
                    WHERE m.partner_code = ? AND o.order_ref = ?`
      const [order] = await database.rows<{ id: number }>(sql, [partner, orderId])
      if (order === undefined) return await reply.code(404).send({ error: 'unknown-order' })
      return await sendOutcome(reply, await orders.pay(order.id, payer))
    },
  )

  const day = { type: 'string', pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' }
  app.post<{ Body: { day: string } }>('/v1/settlements', { schema: { body: exactly({ day }) } }, async (request) => {
    return await settle(database, request.body.day)
  })
}

function addMerchantApi(app: FastifyInstance, api: MerchantApi): void {
  const signed = { partnerCode: name, accessKey: name, requestId: name, orderId: name, signature: name, lang: text }
  const create = {
    ...signed,
    amount,
    orderInfo: text,
    ipnUrl: text,
    redirectUrl: text,
    requestType: name,
    extraData: text,
    autoCapture: { type: 'boolean' },
  }
  const confirm = { ...signed, requestType: { enum: ['capture', 'cancel'] }, amount, description: text }
  const refund = { ...signed, transId: { type: 'string', pattern: '^[0-9]{1,18}$' }, amount, description: text }
  const base = '/v2/gateway/api'
  app.post<{ Body: CreateRequest }>(`${base}/create`, schema(create), async ({ body }, reply) => {
    return await sendJson(reply, await api.answer(body, (merchant) => api.create(merchant, body)))
  })
  app.post<{ Body: ConfirmRequest }>(`${base}/confirm`, schema(confirm), async ({ body }, reply) => {
    return await sendJson(reply, await api.answer(body, (merchant) => api.confirm(merchant, body)))
  })
  app.post<{ Body: RefundRequest }>(`${base}/refund`, schema(refund), async ({ body }, reply) => {
    return await sendJson(reply, await api.answer(body, (merchant) => api.refund(merchant, body)))
  })
}

interface ApiAnswer {
  readonly resultCode: number
  readonly [field: string]: string | number
}

/** What merchants ask for: signed, and answered once. */
class MerchantApi {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Answers as before when the same was asked before; under the same number another request is refused. */
  async answer(request: SignedRequest, work: (merchant: MerchantKey) => Promise<ApiAnswer>): Promise<string> {
    const { database, registry } = this.#parts
    const { partnerCode, requestId, orderId, accessKey } = request
    const merchant = await registry.byAccessKey(partnerCode, accessKey)
    const values = Object.entries(request).filter(([key]) => !unsigned.includes(key))
    if (!merchant || !isSigned(Object.fromEntries(values), request.signature, merchant.secret)) {
      return JSON.stringify({ partnerCode, requestId, orderId, resultCode: 11, message: 'bad signature' })
    }
    const digest = createHash('sha256').update(request.signature).digest()
    const find = 'SELECT digest, answer FROM requests WHERE merchant_id = ? AND request_id = ?'
    const [earlier] = await database.rows<{ digest: Buffer; answer: string }>(find, [merchant.id, requestId])
    if (earlier && !earlier.digest.equals(digest)) {
      return JSON.stringify({ partnerCode, requestId, orderId, resultCode: resultCodes.duplicateRequest })
    }
    if (earlier) return earlier.answer
    const answer = JSON.stringify({ partnerCode, requestId, orderId, ...(await work(merchant)) })
    // Two at once have asked for the same, and the first answer that is kept counts for both.
    const keep = 'INSERT IGNORE INTO requests (merchant_id, request_id, digest, answer) VALUES (?, ?, ?, ?)'
    await database.change(keep, [merchant.id, requestId, digest, answer])
    const [kept] = await database.rows<{ answer: string }>(find, [merchant.id, requestId])
    return kept?.answer ?? answer
  }

  async create(merchant: MerchantKey, request: CreateRequest): Promise<ApiAnswer> {
    const { requestId, orderId: orderRef, amount: dong, orderInfo: info, ipnUrl, autoCapture = true } = request
    const order = { requestId, orderRef, amount: dong, info, ipnUrl, autoCapture }
    const { code, qr } = await this.#parts.orders.create(merchant, order)
    return { resultCode: code, amount: dong, ...(qr === undefined ? {} : { qrCodeUrl: qr }) }
  }

  async confirm(merchant: MerchantKey, request: ConfirmRequest): Promise<ApiAnswer> {
    const kind = request.requestType === 'capture' ? 'capture' : 'release'
    return await this.#operate(merchant, request, async (order) => {
      if (order.hold_id === null) return undefined
      return { kind, reference: referenceOf(order, request), amount: request.amount, original: null }
    })
  }

  async refund(merchant: MerchantKey, request: RefundRequest): Promise<ApiAnswer> {
    return await this.#operate(merchant, request, async (order) => {
      const capture = await this.#parts.orders.captureOf(order.id, Number(request.transId))
      if (!capture) return undefined
      const { amount: dong, transId } = request
      return { kind: 'refund', reference: referenceOf(order, request), amount: dong, original: Number(transId) }
    })
  }

  async #operate(
    merchant: MerchantKey,
    request: SignedRequest,
    plan: (order: Order) => Promise<OperationRequest | undefined>,
  ): Promise<ApiAnswer> {
    const order = await this.#parts.orders.find(merchant.id, request.orderId)
    if (!order) return { resultCode: resultCodes.unknownOrder }
    const planned = await plan(order)
    if (!planned) return { resultCode: resultCodes.invalidRequest }
    const { code, transfer, amount: dong } = await this.#parts.orders.operate(order, planned)
    return { resultCode: code, ...(transfer === undefined ? {} : { transId: transfer, amount: dong ?? 0 }) }
  }
}

/** Of what a merchant asks for: one number, one operation. */
function referenceOf(order: Order, request: SignedRequest): string {
  return `m:${order.id}:${request.requestId}`
}

function schema(properties: Readonly<Record<string, object>>): { schema: { body: object } } {
  const required = Object.keys(properties).filter((field) => field !== 'autoCapture' && field !== 'lang')
  return { schema: { body: { type: 'object', required, properties, additionalProperties: false } } }
}

async function sendOutcome(reply: FastifyReply, { code, transfer }: Outcome): Promise<FastifyReply> {
  const paid = code === resultCodes.ok || code === resultCodes.authorized
  return await reply.code(paid ? 201 : 422).send({ resultCode: code, ...(transfer ? { transId: transfer } : {}) })
}

async function sendJson(reply: FastifyReply, answer: string): Promise<FastifyReply> {
  return await reply.code(200).type('application/json; charset=utf-8').send(answer)
}

function exactly(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', required: Object.keys(properties), properties, additionalProperties: false }
}
