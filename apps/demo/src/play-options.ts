import type { Phase } from './script.ts'

export interface PlayOptions {
  /** Payments a second. */
  readonly rate: number
  /** Past transfers in the ledger. */
  readonly history: number
  readonly seed: number
  /** Phases that are played, in their order. */
  readonly phases: readonly Phase[]
  /** One cutover, without what goes before it and without a way back: for a look, or for a test. */
  readonly isBrief: boolean
  /** How long payments go on between two cutovers. */
  readonly betweenMs: number
}
