import type { DiffersLine, Outcome, RunLine } from '../journal.ts'

/** What sessions are asked to keep, or to end. */
export type SessionsKind = 'code' | 'login' | 'logout' | 'answer'

export interface SessionsAskLine {
  readonly t: 'ask'
  readonly kind: SessionsKind
  /** Of the code, the session, or the remembered answer. Tokens and digits are never written down. */
  readonly key: string
  readonly account: number
  /** Of a login: the code that it uses up. */
  readonly code?: string
  /** Of a login: its device. Of an answer: SHA-256 of what is to be remembered. */
  readonly content?: string
  readonly ms: number
}

export interface SessionsEndLine {
  readonly t: 'end'
  readonly kind: SessionsKind
  readonly key: string
  readonly outcome: Outcome
  /** When it ends by itself: milliseconds since 1970. For an answer, the earliest instant at which it may. */
  readonly deadline?: number
  readonly ms: number
}

export type SessionsLine = RunLine | SessionsAskLine | SessionsEndLine | DiffersLine
