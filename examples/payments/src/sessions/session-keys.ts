/**
 * Names of the keys. All that belongs to one account has its number in braces, so that a cluster keeps it together and
 * one script may use all of it.
 */
export function codeKey(account: number, id: string): string {
  return `{${account}}:code:${id}`
}

export function sessionKey(account: number, id: string): string {
  return `{${account}}:session:${id}`
}

/** A stream of who came and went. It has no deadline. */
export function loginsKey(account: number): string {
  return `{${account}}:logins`
}

export function rateKey(account: number): string {
  return `{${account}}:rate:codes`
}

export function answerKey(key: string): string {
  return `answer:${key}`
}

export type KeyKind = 'code' | 'session' | 'logins' | 'rate' | 'answer'

export interface ParsedKey {
  readonly kind: KeyKind
  /** Of the code, the session or the answer; for what there is one of, the account. */
  readonly id: string
}

/** `undefined` for a key that is none of ours. */
export function parseKey(key: string): ParsedKey | undefined {
  const answer = /^answer:(.+)$/.exec(key)
  if (answer?.[1] !== undefined) return { kind: 'answer', id: answer[1] }
  const own = /^\{(\d+)\}:(code|session|logins|rate)(?::(.+))?$/.exec(key)
  if (own?.[1] === undefined || own[2] === undefined) return undefined
  const kind = own[2] as KeyKind
  return { kind, id: kind === 'logins' || kind === 'rate' ? own[1] : (own[3] ?? '') }
}
