import type { RunLine } from '../journal.ts'

/** Somebody looked for a payment from the moment at which it was acknowledged to them. */
export interface SoughtLine {
  readonly t: 'sought'
  /** The payment's idempotency key. */
  readonly key: string
  /** Until it was found; null when it was not, in the time that it should have been. */
  readonly foundMs: number | null
  readonly ms: number
}

export type SearchLine = RunLine | SoughtLine
