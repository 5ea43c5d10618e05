import type { DiffersLine, Outcome, RunLine } from '../journal.ts'

export type ProfilesKind = 'change' | 'departure' | 'notification'

export interface ProfilesAskLine {
  readonly t: 'ask'
  readonly kind: ProfilesKind
  readonly key: string
  readonly account: number
  /** That the request makes; none of a notification. */
  readonly version?: number
  /** Digest of what is there afterwards; none of a departure. */
  readonly content?: string
  readonly ms: number
}

export interface ProfilesEndLine {
  readonly t: 'end'
  readonly key: string
  readonly outcome: Outcome
  /** Of a notification: milliseconds since 1970. */
  readonly deadline?: number
  readonly ms: number
}

export type ProfilesLine = RunLine | ProfilesAskLine | ProfilesEndLine | DiffersLine
