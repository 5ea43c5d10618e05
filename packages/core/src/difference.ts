/** What is wrong with one row, document, key or message. */
export type DifferenceKind = 'mismatched' | 'missing' | 'extra'

/** One sample of a difference: the key (masked where it could be personal), never the values. */
export interface Difference {
  readonly kind: DifferenceKind
  readonly key: string
  /** Names of the columns or fields that differ, where that was looked up. */
  readonly columns?: readonly string[]
}

/** Figures of one comparison of one table, collection, index or queue. */
export interface CompareResult {
  readonly name: string
  /** Rows looked at on the source. */
  readonly processed: number
  readonly matching: number
  readonly mismatched: number
  /** On the source, not on the target. */
  readonly missing: number
  /** On the target, not on the source. */
  readonly extra: number
  /** Differed, and was made equal by this comparison; counted as matching. Only where a `resync` flow ends. */
  readonly repaired?: number
  /** Rows of `processed` that a comparison which was interrupted had found equal, and nobody has written since. */
  readonly resumed?: number
  /** Of `processed`: may have been delivered twice, at most; only where delivery is at least once. */
  readonly mayRepeat?: number
  /** At most ten. */
  readonly samples: readonly Difference[]
}

export interface CompareReport {
  readonly scope: 'all' | 'changed'
  /** The source's position that both sides were read at. */
  readonly at: string
  readonly equal: boolean
  readonly seconds: number
  /** What the comparison inside the pause will take, where it looks at everything; predicted from this one. */
  readonly pauseSeconds?: number
  readonly results: readonly CompareResult[]
}

export function isEqual(result: CompareResult): boolean {
  return result.mismatched === 0 && result.missing === 0 && result.extra === 0
}
