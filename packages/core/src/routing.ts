import type { Finding } from './finding.ts'

/** Estate sides, whatever the direction of the flow: the old place and the new one. */
export type Place = 'old' | 'new'

/**
 * The switchover point in front of a store: PgBouncer, HAProxy, Route 53, a secret, a command of the user's.
 * All verbs are idempotent and may be called by a process that did not call the ones before.
 */
export interface Routing extends AsyncDisposable {
  /** How it appears in plans and journals: `pgbouncer ledger`. */
  readonly name: string
  /** Whether writes are delayed during the pause (`held`), or refused because nothing can delay them. */
  readonly writes: 'held' | 'refused'
  assess(): Promise<Finding[]>
  /** Delays new writes and waits until none is in flight; throws `routing.failed` and releases when `withinMs` is not enough. */
  hold(options: { readonly withinMs: number }): Promise<void>
  /** Sends what comes after `release` to that place. Legal only while held, or while nothing is served. */
  point(place: Place): Promise<void>
  release(): Promise<void>
  /** Where clients are sent now; undefined when it points to neither place. */
  where(): Promise<Place | undefined>
}
