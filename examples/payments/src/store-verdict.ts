import type { Findings } from './findings.ts'

/** What the judge says of one store. */
export interface StoreVerdict<Name extends string> {
  readonly store: string
  /** `clean`, or the gravest of what was found. */
  readonly verdict: 'clean' | Name
  /** How often each was found. */
  readonly found: Readonly<Record<Name, number>>
  /** What was looked at, so that a clean verdict on nothing is seen to be one. */
  readonly judged: Readonly<Record<string, number>>
  /** Up to ten names of each kind; never amounts or contents. */
  readonly samples: Readonly<Partial<Record<Name, readonly string[]>>>
}

export function storeVerdict<Name extends string>(
  store: string,
  findings: Findings<Name>,
  judged: Readonly<Record<string, number>>,
): StoreVerdict<Name> {
  return {
    store,
    verdict: findings.gravest() ?? 'clean',
    found: findings.counts,
    judged,
    samples: findings.samples,
  }
}
