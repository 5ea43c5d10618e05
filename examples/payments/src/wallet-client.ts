import { type ClientOptions, type HttpRequest, PatientClient, type Reply } from './patient-client.ts'
import type { PlannedPayment } from './payment-mix.ts'

/** Asks the wallet for payments. */
export class WalletClient implements Disposable {
  readonly #client: PatientClient

  constructor(options: ClientOptions) {
    this.#client = new PatientClient(options)
  }

  get retries(): number {
    return this.#client.retries
  }

  /** Never rejects; see `PatientClient.ask`. */
  async pay(key: string, payment: PlannedPayment): Promise<Reply> {
    return await this.#client.ask(httpRequest(key, payment))
  }

  async payOnce(key: string, payment: PlannedPayment): Promise<Reply> {
    return await this.#client.askOnce(httpRequest(key, payment))
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]()
  }
}

function httpRequest(key: string, payment: PlannedPayment): HttpRequest {
  const { kind, from, to, amount, payee, hold } = payment
  const headers = { 'idempotency-key': key }
  switch (kind) {
    case 'top-up':
      return { path: '/v1/top-ups', headers, body: { account: to, amount } }
    case 'transfer':
      return { path: '/v1/transfers', headers, body: { from, to, amount } }
    case 'hold':
      return { path: '/v1/holds', headers, body: { account: from, payee, amount } }
    case 'capture':
    case 'release':
      return { path: `/v1/holds/${hold}/${kind}`, headers }
  }
}
