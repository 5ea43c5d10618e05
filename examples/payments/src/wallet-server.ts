import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Answer, Ask, PaymentLedger } from './payment-ledger.ts'
import { createServiceApp, keyHeader } from './service-app.ts'

/** Numbers in JSON are exact only up to 2^53 − 1; larger amounts and fractions are refused, never rounded. */
const wholeNumber = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }
const idPath = { type: 'object', properties: { id: { type: 'string', pattern: '^[1-9][0-9]{0,17}$' } } }

interface TopUp {
  readonly account: number
  readonly amount: number
}
interface Transfer {
  readonly from: number
  readonly to: number
  readonly amount: number
}
interface Hold {
  readonly account: number
  readonly payee: number
  readonly amount: number
}
interface Part {
  readonly amount?: number
}
interface ById {
  readonly id: string
}

export function createWalletServer(ledger: PaymentLedger): FastifyInstance {
  const app = createServiceApp({ name: 'wallet', ready: () => ledger.ping() })
  addPayments(app, ledger)
  addHolds(app, ledger)
  addRefunds(app, ledger)
  addAccounts(app, ledger)
  return app
}

function addPayments(app: FastifyInstance, ledger: PaymentLedger): void {
  const topUp = { schema: { headers: keyHeader, body: exactly('account', 'amount') } }
  app.post<{ Body: TopUp }>('/v1/top-ups', topUp, async (request, reply) => {
    const { account, amount } = request.body
    const ask = askOf(request, 'top-up', account, amount)
    return await send(reply, await ledger.topUp(ask, account, amount))
  })

  const transfer = { schema: { headers: keyHeader, body: exactly('from', 'to', 'amount') } }
  app.post<{ Body: Transfer }>('/v1/transfers', transfer, async (request, reply) => {
    const { from, to, amount } = request.body
    if (from === to) return await reply.code(400).send({ error: 'from and to must differ' })
    const ask = askOf(request, 'transfer', from, to, amount)
    return await send(reply, await ledger.transfer(ask, { from, to, amount }))
  })
}

function addHolds(app: FastifyInstance, ledger: PaymentLedger): void {
  const hold = { schema: { headers: keyHeader, body: exactly('account', 'payee', 'amount') } }
  app.post<{ Body: Hold }>('/v1/holds', hold, async (request, reply) => {
    const { account, payee, amount } = request.body
    if (account === payee) return await reply.code(400).send({ error: 'account and payee must differ' })
    const ask = askOf(request, 'hold', account, payee, amount)
    return await send(reply, await ledger.hold(ask, { account, payee, amount }))
  })

  const captureBody = {
    type: ['object', 'null'],
    properties: { amount: wholeNumber },
    additionalProperties: false,
  }
  const capture = { schema: { headers: keyHeader, params: idPath, body: captureBody } }
  app.post<{ Params: ById; Body: Part | null }>('/v1/holds/:id/capture', capture, async (request, reply) => {
    const { id: hold } = request.params
    const amount = request.body?.amount
    const closing = { verb: 'capture', hold, amount: amount ?? null } as const
    const ask = askOf(request, 'capture', hold, ...(amount === undefined ? [] : [amount]))
    return await send(reply, await ledger.closeHold(ask, closing))
  })

  const release = { schema: { headers: keyHeader, params: idPath } }
  app.post<{ Params: ById }>('/v1/holds/:id/release', release, async (request, reply) => {
    const { id: hold } = request.params
    const ask = askOf(request, 'release', hold)
    return await send(reply, await ledger.closeHold(ask, { verb: 'release', hold }))
  })
}

function addRefunds(app: FastifyInstance, ledger: PaymentLedger): void {
  const refund = { schema: { headers: keyHeader, params: idPath, body: exactly('amount') } }
  app.post<{ Params: ById; Body: Required<Part> }>('/v1/transfers/:id/refund', refund, async (request, reply) => {
    const { id } = request.params
    const { amount } = request.body
    const ask = askOf(request, 'refund', id, amount)
    return await send(reply, await ledger.refund(ask, id, amount))
  })
}

function addAccounts(app: FastifyInstance, ledger: PaymentLedger): void {
  app.get<{ Params: ById }>('/v1/accounts/:id', { schema: { params: idPath } }, async (request, reply) => {
    const account = await ledger.account(request.params.id)
    return account ?? (await reply.code(404).send({ error: 'unknown-account' }))
  })
}

/** Sends the stored bytes as they are: a repeated request gets the very same answer. */
async function send(reply: FastifyReply, answer: Answer): Promise<FastifyReply> {
  if (answer.replayed) reply.header('idempotent-replayed', 'true')
  return await reply.code(answer.status).type('application/json; charset=utf-8').send(answer.body)
}

function exactly(...fields: readonly string[]): object {
  const properties = Object.fromEntries(fields.map((field) => [field, wholeNumber]))
  return { type: 'object', required: fields, properties, additionalProperties: false }
}

function askOf(request: FastifyRequest, ...parts: ReadonlyArray<string | number>): Ask {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string') throw new TypeError('the schema lets no request pass without one key')
  const hash = createHash('sha256').update(parts.join('|')).digest()
  return { key, hash, isAbandoned: () => request.raw.socket.destroyed }
}
