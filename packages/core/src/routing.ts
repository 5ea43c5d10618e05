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

/** What a client of a switchover point noticed. */
export interface Felt {
  readonly answers: number
  /** Questions that ended with an error, as an application would have seen it. */
  readonly errors: number
  /** The longest time from one answer to the next. */
  readonly gapMs: number
}

/** Asks one thing after another through a copy, for as long as the copy is there. */
export interface CopyClient {
  /** Forgets what was felt so far. Resolves when there is an answer; throws `routing.failed` where none comes. */
  begin(): Promise<void>
  /** What was felt since `begin`, with one more answer to its end; throws `routing.failed` where none comes. */
  end(): Promise<Felt>
}

/** A copy of a switchover point, for one rehearsal. Nothing of it is left after its disposal. */
export interface RoutingCopy extends AsyncDisposable {
  /** Of the switchover point. */
  readonly name: string
  /** What the copy is and what stands behind it; or why there is none. */
  readonly detail: string
  /** Null where there is none. */
  readonly routing: Routing | null
  /** Null where nothing of ours asks through it. */
  readonly client: CopyClient | null
}
