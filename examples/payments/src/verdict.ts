import type { Findings } from './findings.ts'

/**
 * What can be wrong, gravest first. Each is counted by payment, account or hold, as said here.
 */
export const corruptions = {
  lost: 'payments that were acknowledged and are not in the ledger',
  doubled: 'payments booked more than once',
  unasked: 'payments in the ledger that nobody asked for',
  altered: 'payments with another kind, amount or party than was asked for',
  refusedButPresent: 'payments that were refused and are in the ledger all the same',
  unbalanced: 'transfers whose entries do not sum to zero, or that have none',
  misbooked: 'transfers whose entries balance but are not those of the transfer',
  balanceDiffers: 'accounts whose balance is not the sum of their entries',
  overdrawn: 'customers whose balance is below zero',
  chainBroken: 'accounts whose entries do not follow one from the other up to the recorded head',
  answersMissing: 'payments whose stored answer is gone, so that a retry would pay again',
  answersDiffer: 'payments whose stored answer is not the one that the client got',
  repliesDiffer: 'payments that got different answers when they were repeated',
  holdsWrong: 'holds whose state does not follow from their transfers',
  refundsWrong: 'payments whose refunds are more than they were, or do not come from their payee',
  seededDiffer: 'whether the ledger before the load is not what it was (1) or is (0)',
  unknownDiffers: 'payments of unknown outcome that one side has and the other has not',
  sidesDiffer: 'other payments on which the two sides differ',
  headsDiffer: 'accounts whose balance or chain differs between the two sides',
} as const

export type Corruption = keyof typeof corruptions

export interface Verdict extends Readonly<Record<Corruption, number>> {
  /** `clean`, or the gravest of what was found. */
  readonly verdict: 'clean' | Corruption | 'balanceSum'
  /** Payments asked for, and what their clients learnt. */
  readonly payments: number
  readonly success: number
  readonly refused: number
  readonly unknown: number
  /** Of the unknown ones, those that turned out to be in the ledger. */
  readonly unknownPresent: number
  /** Sum of all balances, in dong. */
  readonly balanceSum: { readonly expected: string; readonly actual: string }
  readonly accounts: number
  readonly entries: number
  readonly seconds: number
  /** Up to ten idempotency keys, accounts or holds of each kind; never amounts. */
  readonly samples: Readonly<Partial<Record<Corruption, readonly string[]>>>
}

export type LedgerFindings = Findings<Corruption>
