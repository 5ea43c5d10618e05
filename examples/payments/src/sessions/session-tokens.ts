import { createHmac, timingSafeEqual } from 'node:crypto'

export interface NamedSession {
  readonly account: number
  readonly session: string
}

/**
 * Makes what customers hold: digits and tokens, worked out from a secret and so the same when a request is repeated.
 * The store has only what proves them.
 */
export class SessionTokens {
  readonly #secret: string

  constructor(secret: string) {
    if (secret.length < 16) throw new Error('the secret of sessions must have at least 16 characters')
    this.#secret = secret
  }

  /** The six digits of a one-time code. */
  digits(account: number, code: string): string {
    return String(this.#sign('digits', account, code).readUInt32BE() % 1_000_000).padStart(6, '0')
  }

  /** What the store keeps of digits. */
  proof(account: number, code: string, digits: string): string {
    return this.#sign('proof', account, code, digits).toString('base64url')
  }

  token({ account, session }: NamedSession): string {
    return `${account}.${Buffer.from(session).toString('base64url')}.${this.#tokenMark(account, session)}`
  }

  /** `undefined` for a token that we never made. */
  read(token: string): NamedSession | undefined {
    const [account, name, mark] = token.split('.')
    if (account === undefined || name === undefined || mark === undefined) return undefined
    const session = Buffer.from(name, 'base64url').toString()
    const expected = Buffer.from(this.#tokenMark(Number(account), session))
    const given = Buffer.from(mark)
    const genuine = expected.length === given.length && timingSafeEqual(expected, given)
    return genuine ? { account: Number(account), session } : undefined
  }

  #tokenMark(account: number, session: string): string {
    return this.#sign('token', account, session).toString('base64url')
  }

  #sign(...parts: ReadonlyArray<string | number>): Buffer {
    return createHmac('sha256', this.#secret).update(JSON.stringify(parts)).digest()
  }
}
