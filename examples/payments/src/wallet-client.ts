import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { PlannedPayment } from './payment-mix.ts'

/** What asking led to. `not-done`: certainly nothing happened. `unknown`: the payment may or may not exist. */
export type Reply =
  | { readonly result: 'answered'; readonly status: number; readonly body: Buffer }
  | { readonly result: 'not-done' | 'unknown' }

export interface WalletClientOptions {
  readonly url: string
  readonly timeoutMs: number
  readonly attempts: number
}

/** Asks the wallet over HTTP, patiently: the same request with the same key until it is answered. */
export class WalletClient implements Disposable {
  readonly #options: WalletClientOptions
  // More sockets than this would only queue in the wallet instead of here.
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 512 })
  #retries = 0

  constructor(options: WalletClientOptions) {
    this.#options = options
  }

  get retries(): number {
    return this.#retries
  }

  /** Never rejects. Gives up after the configured attempts; `unknown` if any of them may have reached the ledger. */
  async pay(key: string, payment: PlannedPayment): Promise<Reply> {
    let mayHaveHappened = false
    for (let attempt = 0; attempt < this.#options.attempts; attempt++) {
      if (attempt > 0) {
        this.#retries++
        await delay(100 * 2 ** attempt)
      }
      const reply = await this.payOnce(key, payment)
      if (reply.result === 'answered') return reply
      mayHaveHappened ||= reply.result === 'unknown'
    }
    return { result: mayHaveHappened ? 'unknown' : 'not-done' }
  }

  async payOnce(key: string, payment: PlannedPayment): Promise<Reply> {
    const { path, body } = httpRequest(payment)
    try {
      const { status, bytes } = await this.#post(path, key, body)
      if (status < 500) return { result: 'answered', status, body: bytes }
      return { result: saysNotDone(bytes) ? 'not-done' : 'unknown' }
    } catch (error) {
      const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
      return { result: refused ? 'not-done' : 'unknown' }
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #post(path: string, key: string, body: string | undefined): Promise<{ status: number; bytes: Buffer }> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs)
    const headers = { 'idempotency-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method: 'POST', agent: this.#agent, headers, signal }
      request(new URL(path, this.#options.url), options, resolve).on('error', reject).end(body)
    })
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part)
    return { status: response.statusCode ?? 0, bytes: Buffer.concat(parts) }
  }
}

function httpRequest(payment: PlannedPayment): { path: string; body: string | undefined } {
  const { kind, from, to, amount, payee, hold } = payment
  switch (kind) {
    case 'top-up':
      return { path: '/v1/top-ups', body: JSON.stringify({ account: to, amount }) }
    case 'transfer':
      return { path: '/v1/transfers', body: JSON.stringify({ from, to, amount }) }
    case 'hold':
      return { path: '/v1/holds', body: JSON.stringify({ account: from, payee, amount }) }
    case 'capture':
    case 'release':
      return { path: `/v1/holds/${hold}/${kind}`, body: undefined }
  }
}

function saysNotDone(body: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null && 'outcome' in value && value.outcome === 'not-done'
  } catch {
    return false
  }
}
