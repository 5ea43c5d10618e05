import { hash } from 'node:crypto'
import type { JournalWriter, Outcome } from '../journal.ts'
import type { LoadClock } from '../load-clock.ts'
import type { OperationStatistics } from '../operation-statistics.ts'
import type { HttpRequest, PatientClient, Reply } from '../patient-client.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { MerchantsAskLine, MerchantsLine } from './merchants-journal.ts'
import { type Signed, sign } from './signature.ts'

export interface MerchantsLoadOptions {
  readonly client: PatientClient
  readonly journal: JournalWriter<MerchantsLine>
  readonly clock: LoadClock
  readonly random: SeededRandom
  readonly statistics: OperationStatistics
  /** Chooses who pays. */
  readonly account: () => number
  /** Accounts that sell. */
  readonly sellers: readonly number[]
  /** Where sellers want to be told; none when empty. */
  readonly ipnUrl: string
}

interface Seller {
  readonly partnerCode: string
  readonly accessKey: string
  readonly secret: string
}

interface ApiReply {
  readonly resultCode: number
  readonly transId?: string
}

interface ApiRequest {
  readonly kind: 'order' | 'capture' | 'cancel' | 'refund'
  readonly path: 'create' | 'confirm' | 'refund'
  readonly order: string
  readonly amount: number
  readonly values: Signed
  readonly autoCapture?: boolean
}

/** Merchants who sell, and customers who pay by scanning a code. */
export class MerchantsLoad {
  readonly #options: MerchantsLoadOptions
  readonly #sellers: Seller[] = []

  constructor(options: MerchantsLoadOptions) {
    this.#options = options
  }

  /** Call before the first visit. May be repeated by other loads: a seller keeps their keys. */
  async onboard(): Promise<void> {
    for (const walletAccount of this.#options.sellers) {
      const partnerCode = `SHOP${walletAccount}`
      const bankAccount = String(1_000_000_000 + walletAccount)
      const body = { partnerCode, name: `Shop ${walletAccount}`, walletAccount, bankBin: '970418', bankAccount }
      const reply = await this.#options.client.ask({ path: '/v1/merchants', body })
      if (reply.result !== 'answered' || reply.status !== 201) throw new Error('a merchant could not be taken on')
      this.#sellers.push(JSON.parse(reply.body.toString()) as Seller)
    }
  }

  /** One customer buys something, or leaves without. Latency of what comes first counts from `dueMs`. Never rejects. */
  async visit(dueMs: number): Promise<void> {
    const { random, clock } = this.#options
    const seller = this.#sellers[random.below(this.#sellers.length)]
    if (!seller) throw new Error('nobody sells')
    const payer = this.#options.account()
    const amount = Math.floor(500 ** random.next()) * 1000
    const plan = { buys: random.chance(0.9), later: random.chance(0.25), refunds: random.chance(0.25) }
    const order = `o-${clock.nextKey()}`
    if (!(await this.#order(seller, { order, amount, autoCapture: !plan.later }, dueMs)) || !plan.buys) return
    const paid = await this.#pay(seller, { order, amount, payer })
    if (!paid) return
    const transfer = plan.later ? await this.#captureInPart(seller, order, amount) : paid.transId
    if (plan.refunds && transfer !== undefined) await this.#refund(seller, { order, amount, transfer })
  }

  async #order(
    seller: Seller,
    { order, amount, autoCapture }: { order: string; amount: number; autoCapture: boolean },
    dueMs: number,
  ): Promise<boolean> {
    const { ipnUrl } = this.#options
    const fixed = { orderInfo: `order ${order}`, redirectUrl: '', requestType: 'captureWallet', extraData: '' }
    const values = { ...fixed, amount, ipnUrl }
    const request = { kind: 'order', path: 'create', order, amount, values, autoCapture } as const
    return (await this.#api(seller, request, dueMs))?.resultCode === 0
  }

  async #pay(
    { partnerCode: partner }: Seller,
    { order, amount, payer }: { order: string; amount: number; payer: number },
  ): Promise<ApiReply | undefined> {
    const request = { path: '/v1/payments', body: { partnerCode: partner, orderId: order, payer } }
    const reply = await this.#journalled({ kind: 'payment', partner, key: order, order, amount, payer }, request)
    return reply.result === 'answered' && reply.status === 201
      ? (JSON.parse(reply.body.toString()) as ApiReply)
      : undefined
  }

  /** Half of it, and the rest goes back. */
  async #captureInPart(seller: Seller, order: string, whole: number): Promise<string | undefined> {
    const amount = Math.ceil(whole / 2)
    const capture = { kind: 'capture', requestType: 'capture' } as const
    const cancel = { kind: 'cancel', requestType: 'cancel' } as const
    const confirm = async ({ kind, requestType }: typeof capture | typeof cancel) => {
      const values = { requestType, amount, description: '' }
      return await this.#api(seller, { kind, path: 'confirm', order, amount, values })
    }
    const captured = await confirm(capture)
    await confirm(cancel)
    return captured?.transId
  }

  /** In two parts, of which the second is one dong more than there is left when the first is a whole. */
  async #refund(
    seller: Seller,
    { order, amount: whole, transfer }: { order: string; amount: number; transfer: string },
  ): Promise<void> {
    for (const amount of [Math.ceil(whole / 4), whole]) {
      const values = { transId: transfer, amount, description: '' }
      await this.#api(seller, { kind: 'refund', path: 'refund', order, amount, values })
    }
  }

  async #api(seller: Seller, request: ApiRequest, dueMs?: number): Promise<ApiReply | undefined> {
    const { kind, path, order, amount, values, autoCapture } = request
    const { random, client, clock } = this.#options
    const { partnerCode, accessKey, secret } = seller
    const requestId = `r-${clock.nextKey()}`
    const signed = { ...values, partnerCode, accessKey, requestId, orderId: order }
    const signature = sign(signed, secret)
    const body = { ...signed, signature, ...(autoCapture === undefined ? {} : { autoCapture }) }
    const http = { path: `/v2/gateway/api/${path}`, body }
    const reply = await this.#journalled({ kind, partner: partnerCode, key: requestId, order, amount }, http, dueMs)
    if (reply.result !== 'answered') return undefined
    if (random.chance(0.03)) {
      const again = await client.ask(http)
      if (again.result === 'answered' && !again.body.equals(reply.body)) this.#differs(requestId)
    }
    return JSON.parse(reply.body.toString()) as ApiReply
  }

  async #journalled(asked: Omit<MerchantsAskLine, 't' | 'ms'>, request: HttpRequest, dueMs?: number): Promise<Reply> {
    const { journal, clock, client, statistics } = this.#options
    const beganMs = clock.nowMs()
    journal.write({ t: 'ask', ...asked, ms: clock.ms })
    const reply = await client.ask(request)
    const { kind, partner, key } = asked
    const outcome = outcomeOf(reply)
    const isKept = kind !== 'payment' && reply.result === 'answered'
    const answer = isKept ? { answer: hash('sha256', reply.body) } : {}
    journal.write({ t: 'end', kind, partner, key, outcome, ...answer, ms: clock.ms })
    statistics.ended(kind, outcome, clock.nowMs() - (dueMs ?? beganMs))
    return reply
  }

  #differs(key: string): void {
    const { journal, clock, statistics } = this.#options
    statistics.differing++
    journal.write({ t: 'differs', key, ms: clock.ms })
  }
}

/** An answer says by its code whether it was done, and by its status only whether there was one. */
function outcomeOf(reply: Reply): Outcome {
  if (reply.result !== 'answered') return reply.result === 'not-done' ? 'refused' : 'unknown'
  if (reply.status >= 300) return 'refused'
  const { resultCode } = JSON.parse(reply.body.toString()) as ApiReply
  return resultCode === 0 || resultCode === 9000 ? 'success' : 'refused'
}
