import { PatientClient, type Reply } from '../patient-client.ts'
import { StoreUnavailable } from '../store-unavailable.ts'

export type WalletAnswer =
  | { readonly done: true; readonly transfer: string; readonly hold: string | null; readonly amount: number }
  | { readonly done: false; readonly reason: string }

export interface WalletHold {
  readonly account: number
  readonly payee: number
  readonly amount: number
}

/** What the merchants' service asks of the wallet. Each call may be repeated with its reference. */
export class WalletApi implements Disposable {
  readonly #client: PatientClient

  constructor(url: string) {
    this.#client = new PatientClient({ url, timeoutMs: 10_000, attempts: 3 })
  }

  async hold(reference: string, hold: WalletHold): Promise<WalletAnswer> {
    return await this.#ask(reference, '/v1/holds', hold)
  }

  async capture(reference: string, hold: string, amount: number): Promise<WalletAnswer> {
    return await this.#ask(reference, `/v1/holds/${hold}/capture`, { amount })
  }

  async release(reference: string, hold: string): Promise<WalletAnswer> {
    return await this.#ask(reference, `/v1/holds/${hold}/release`)
  }

  async refund(reference: string, transfer: string, amount: number): Promise<WalletAnswer> {
    return await this.#ask(reference, `/v1/transfers/${transfer}/refund`, { amount })
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]()
  }

  async #ask(reference: string, path: string, body?: object): Promise<WalletAnswer> {
    return read(await this.#client.ask({ path, headers: { 'idempotency-key': reference }, body }))
  }
}

function read(reply: Reply): WalletAnswer {
  // Even a payment that was certainly not made is unknown to whom we answer: it is asked again until it is settled.
  if (reply.result !== 'answered') throw new StoreUnavailable('unknown', new Error('the wallet gave no answer'))
  const body = JSON.parse(reply.body.toString()) as Record<string, unknown>
  if (reply.status === 422) return { done: false, reason: String(body.error) }
  if (reply.status !== 201) throw new Error(`the wallet answered ${reply.status}`)
  const hold = body.hold == null ? null : String(body.hold)
  return { done: true, transfer: String(body.transfer), hold, amount: Number(body.amount) }
}
