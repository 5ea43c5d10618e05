import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { InFlight } from './in-flight.ts'
import type { AskLine, EndLine, JournalWriter, Outcome } from './journal.ts'
import { LoadStatistics, roundMs } from './load-statistics.ts'
import { type Bursts, dueTimes } from './open-loop.ts'
import type { Reply } from './patient-client.ts'
import { PaymentMix, type PlannedPayment } from './payment-mix.ts'
import type { WalletClient } from './wallet-client.ts'

export interface LoadOptions {
  /** Payments a second. */
  readonly rate: number
  readonly seed: number
  readonly accounts: number
  readonly client: WalletClient
  readonly journal: JournalWriter
  readonly bursts?: Bursts | undefined
  /** Called with the key of each payment that the wallet has acknowledged, when it has. */
  readonly onAcknowledged?: ((key: string) => void) | undefined
}

const settledAtOnce = 64

/**
 * Open-loop load: payment n is due n/rate seconds after the start, whatever became of those before it, and its latency
 * counts from then. So a stalled wallet cannot slow down the clock it is measured by. Without bursts payments are evenly
 * spaced, so that a gap between acknowledged ones is the wallet's and not the dice's.
 */
export class LoadGenerator {
  readonly statistics = new LoadStatistics()
  readonly #options: LoadOptions
  readonly #mix: PaymentMix
  readonly #run = randomBytes(4).toString('hex')
  readonly #startedAt = performance.now()
  readonly #inFlight = new InFlight()
  readonly #unknown = new Map<string, PlannedPayment>()

  constructor(options: LoadOptions) {
    this.#options = options
    this.#mix = new PaymentMix(options)
    const at = new Date(performance.timeOrigin + this.#startedAt).toISOString()
    options.journal.write({ t: 'run', run: this.#run, at, seed: options.seed, rate: options.rate })
  }

  /** Sends payments until the signal, then waits until each has an outcome. */
  async run(signal: AbortSignal): Promise<void> {
    const { rate, bursts } = this.#options
    const pace = { rate, bursts, nowMs: () => this.nowMs(), signal }
    for await (const dueMs of dueTimes(pace)) this.#inFlight.launch(() => this.#send(dueMs))
    await this.#inFlight.ended()
  }

  /** Asks again, with the same keys, for what is still unknown, until nothing is or the time is over. */
  async settle(withinMs: number): Promise<void> {
    const deadlineMs = this.nowMs() + withinMs
    while (this.#unknown.size > 0 && this.nowMs() < deadlineMs) {
      const some = [...this.#unknown].slice(0, settledAtOnce)
      await Promise.all(some.map(([key, payment]) => this.#settleOne(key, payment)))
      if (this.#unknown.size > 0) await delay(200)
    }
  }

  /** Milliseconds since the start, by a clock that never jumps. */
  nowMs(): number {
    return performance.now() - this.#startedAt
  }

  /** Payments that were due and not sent, because too many were waiting for their answers. */
  get notSent(): number {
    return this.#inFlight.notSent
  }

  async #send(dueMs: number): Promise<void> {
    const key = `${this.#run}-${String(this.statistics.sent++).padStart(9, '0')}`
    await this.#pay(key, this.#mix.next(), dueMs)
  }

  async #pay(key: string, payment: PlannedPayment, dueMs: number): Promise<void> {
    const { kind, from, to, amount } = payment
    const ask: AskLine = { t: 'ask', key, kind, from, to, amount, ms: roundMs(this.nowMs()) }
    this.#options.journal.write(ask)
    const twin = payment.nuisance === 'together' ? this.#options.client.pay(key, payment) : undefined
    const first = await this.#options.client.pay(key, payment)
    const reply = twin === undefined || first.result === 'answered' ? first : lessDoubtful(first, await twin)
    this.#end(key, payment, reply, dueMs)
    if (reply.result !== 'answered') return
    if (twin !== undefined) this.#holdAgainst(key, reply, await twin)
    await this.#bother(key, payment, reply)
  }

  #end(key: string, payment: PlannedPayment, reply: Reply, dueMs: number): void {
    const nowMs = this.nowMs()
    const outcome = outcomeOf(reply)
    this.#write(key, reply, nowMs, nowMs - dueMs)
    this.statistics.ended(outcome, nowMs, nowMs - dueMs)
    if (outcome === 'unknown') this.#unknown.set(key, payment)
    if (outcome !== 'success') return
    this.#rememberHold(payment, reply)
    this.#options.onAcknowledged?.(key)
  }

  async #settleOne(key: string, payment: PlannedPayment): Promise<void> {
    const reply = await this.#options.client.payOnce(key, payment)
    // Only an answer settles: an earlier attempt of this payment may still be on its way to the ledger.
    if (reply.result !== 'answered') return
    this.#unknown.delete(key)
    this.#write(key, reply, this.nowMs())
    this.statistics.settled(outcomeOf(reply))
  }

  #write(key: string, reply: Reply, nowMs: number, tookMs?: number): void {
    const line: EndLine = {
      t: 'end',
      key,
      outcome: outcomeOf(reply),
      ...(reply.result === 'answered' && isStored(reply.status) ? { answer: digest(reply.body) } : {}),
      ms: roundMs(nowMs),
      ...(tookMs === undefined ? {} : { tookMs: roundMs(tookMs) }),
    }
    this.#options.journal.write(line)
  }

  /** Repeats an answered request, or reuses its key for another one, and expects what the wallet promises. */
  async #bother(key: string, payment: PlannedPayment, reply: Reply): Promise<void> {
    if (payment.nuisance === 'again') {
      this.#holdAgainst(key, reply, await this.#options.client.pay(key, payment))
    }
    if (payment.nuisance === 'altered') {
      const other = await this.#options.client.pay(key, { ...payment, amount: payment.amount + 1 })
      if (other.result === 'answered' && other.status !== 409) this.#differs(key)
    }
  }

  #holdAgainst(key: string, first: Reply, second: Reply): void {
    if (first.result !== 'answered' || second.result !== 'answered') return
    if (first.status !== second.status || !first.body.equals(second.body)) this.#differs(key)
  }

  #differs(key: string): void {
    this.statistics.differing++
    this.#options.journal.write({ t: 'differs', key, ms: roundMs(this.nowMs()) })
  }

  #rememberHold(payment: PlannedPayment, reply: Reply): void {
    if (payment.kind !== 'hold' || reply.result !== 'answered') return
    const { hold } = JSON.parse(reply.body.toString()) as { hold: string }
    if (payment.from === null || payment.payee === undefined) return
    this.#mix.held({ hold, account: payment.from, payee: payment.payee, amount: payment.amount })
  }
}

function outcomeOf(reply: Reply): Outcome {
  if (reply.result === 'answered') return reply.status < 300 ? 'success' : 'refused'
  return reply.result === 'not-done' ? 'refused' : 'unknown'
}

/** Of two requests with one key: an answer says most; without one, either may have got through. */
function lessDoubtful(first: Reply, second: Reply): Reply {
  if (second.result === 'answered') return second
  return first.result === 'unknown' ? first : second
}

/** These answers the wallet stores with the key; others it does not promise to repeat. */
function isStored(status: number): boolean {
  return status === 201 || status === 422
}

function digest(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex')
}
