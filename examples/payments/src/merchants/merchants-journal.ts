import type { DiffersLine, Outcome, RunLine } from '../journal.ts'

export type MerchantsKind = 'order' | 'payment' | 'capture' | 'cancel' | 'refund'

export interface MerchantsAskLine {
  readonly t: 'ask'
  readonly kind: MerchantsKind
  readonly partner: string
  /** The request's number; of a payment, the order's. */
  readonly key: string
  /** As the merchant calls it. */
  readonly order: string
  readonly amount: number
  /** Of a payment: who pays. */
  readonly payer?: number
  readonly ms: number
}

export interface MerchantsEndLine {
  readonly t: 'end'
  readonly kind: MerchantsKind
  readonly partner: string
  readonly key: string
  readonly outcome: Outcome
  /** SHA-256 of the answer, where it has to be the same for ever: not of a payment. */
  readonly answer?: string
  readonly ms: number
}

export type MerchantsLine = RunLine | MerchantsAskLine | MerchantsEndLine | DiffersLine
