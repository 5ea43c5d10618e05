/** `not-done`: what was asked has certainly not happened. `unknown`: it may have; asking again with its key tells. */
export type FailedOutcome = 'not-done' | 'unknown'

/** A store gave no answer. */
export class StoreUnavailable extends Error {
  readonly outcome: FailedOutcome

  constructor(outcome: FailedOutcome, cause: unknown) {
    super(`the store gave no answer, outcome ${outcome}`, { cause })
    this.outcome = outcome
  }
}
