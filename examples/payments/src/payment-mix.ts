import type { PaymentKind } from './journal.ts'
import { SeededRandom } from './seeded-random.ts'

/** One payment to ask for. Null parties are house accounts, as in the journal. */
export interface PlannedPayment {
  readonly kind: PaymentKind
  readonly from: number | null
  readonly to: number | null
  readonly amount: number
  /** For a hold, who shall get it; for what closes one, its number. */
  readonly payee?: number
  readonly hold?: string
  /**
   * What an impatient client does beside asking once: `together` sends the same request twice at once, `again` repeats
   * it after the answer, `altered` reuses its key for another request, which must be refused.
   */
  readonly nuisance: 'none' | 'together' | 'again' | 'altered'
}

export interface OpenHold {
  readonly hold: string
  readonly account: number
  readonly payee: number
  readonly amount: number
}

/** The customers of a seeded ledger are numbered from here on. */
const firstCustomer = 1001
const hotAccounts = 4
/** More than anybody has: refused for insufficient funds. */
const tooMuch = 5_000_000_000_000

/**
 * Chooses what customers do next. The same seed chooses the same payments, except that a hold can be closed only once
 * the wallet has acknowledged it.
 */
export class PaymentMix {
  readonly #random: SeededRandom
  readonly #accounts: number
  readonly #openHolds: OpenHold[] = []

  constructor(options: { readonly seed: number; readonly accounts: number }) {
    if (options.accounts < 2) throw new Error('payments need at least two accounts')
    this.#random = new SeededRandom(options.seed)
    this.#accounts = options.accounts
  }

  next(): PlannedPayment {
    const { from, to } = this.#parties()
    const amount = this.#amount()
    const nuisance = this.#nuisance()
    const dice = this.#random.next()
    if (dice < 0.15) return { kind: 'top-up', from: null, to, amount, nuisance }
    if (dice < 0.27) return { kind: 'hold', from, to: null, payee: to, amount, nuisance }
    const hold = dice < 0.4 ? this.#openHolds.shift() : undefined
    if (hold !== undefined) return closing(hold, dice < 0.37 ? 'capture' : 'release', nuisance)
    return { kind: 'transfer', from, to, amount: dice > 0.98 ? tooMuch : amount, nuisance }
  }

  /** Tells of an acknowledged hold, which may be closed from now on. */
  held(hold: OpenHold): void {
    this.#openHolds.push(hold)
  }

  #parties(): { from: number; to: number } {
    const from = this.#random.below(this.#random.chance(0.05) ? Math.min(hotAccounts, this.#accounts) : this.#accounts)
    const to = this.#random.below(this.#random.chance(0.2) ? Math.min(hotAccounts, this.#accounts) : this.#accounts)
    return { from: firstCustomer + from, to: firstCustomer + (from === to ? (to + 1) % this.#accounts : to) }
  }

  /** Many small payments, few large ones: 1,000 to 500,000 dong. */
  #amount(): number {
    return Math.floor(500 ** this.#random.next()) * 1000
  }

  #nuisance(): PlannedPayment['nuisance'] {
    const dice = this.#random.next()
    if (dice < 0.01) return 'together'
    if (dice < 0.02) return 'again'
    return dice < 0.025 ? 'altered' : 'none'
  }
}

function closing(open: OpenHold, kind: 'capture' | 'release', nuisance: PlannedPayment['nuisance']): PlannedPayment {
  const to = kind === 'capture' ? open.payee : open.account
  // The number of the hold is all that a closing request says, so there is nothing in it that could be altered.
  return {
    kind,
    from: null,
    to,
    amount: open.amount,
    hold: open.hold,
    nuisance: nuisance === 'altered' ? 'again' : nuisance,
  }
}
