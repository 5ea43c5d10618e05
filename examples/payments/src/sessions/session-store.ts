import { createClient, ErrorReply } from '@redis/client'
import { StoreUnavailable } from '../store-unavailable.ts'
import { answerKey, codeKey, loginsKey, rateKey, sessionKey } from './session-keys.ts'
import { sessionScripts } from './session-scripts.ts'

export interface SessionStoreOptions {
  readonly url: string
  /** How long a request waits for its answer, a lost connection included. */
  readonly answerMs: number
  readonly onConnectionError: (error: Error) => void
  /** Lifetimes, in milliseconds. */
  readonly codeMs: number
  readonly sessionMs: number
  readonly answerLifeMs: number
  /** One-time codes for one account within a minute. */
  readonly codesPerMinute: number
}

/** `again`: it was done before, and this is what came of it. Others say why not. */
export interface Done {
  readonly outcome: 'done' | 'again'
  /** Milliseconds since 1970. */
  readonly deadline: number
}
export interface Refused {
  readonly outcome: 'too-many' | 'code-is-gone' | 'wrong-digits' | 'session-exists'
}

export interface Login {
  readonly account: number
  readonly session: string
  readonly code: string
  readonly proof: string
  readonly device: string
}

export interface SessionState {
  readonly device: string
  readonly deadline: number
}

const minuteMs = 60_000
const wrongTries = 3
export const loginsKept = 10_000

/**
 * Sessions, one-time codes, rate limits and remembered answers in Redis. It is the store that ends them at their
 * deadline, which is an instant and the same after a copy. While the connection is lost, requests wait for it.
 */
export class SessionStore {
  readonly #options: SessionStoreOptions
  readonly #client

  constructor(options: SessionStoreOptions) {
    this.#options = options
    this.#client = createClient({
      url: options.url,
      scripts: sessionScripts,
      commandsQueueMaxLength: 20_000,
      // What has waited longer than its client does is dropped instead of done.
      commandOptions: { timeout: options.answerMs },
      pingInterval: 10_000,
      socket: {
        connectTimeout: 5000,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 1000) + Math.random() * 50,
      },
    })
    this.#client.on('error', options.onConnectionError)
  }

  /** Begins to connect, and goes on trying for as long as the store is open. */
  connect(): void {
    this.#client.connect().catch(this.#options.onConnectionError)
  }

  async issueCode(account: number, code: string, proof: string): Promise<Done | Refused> {
    const now = Date.now()
    const { codeMs, codesPerMinute } = this.#options
    const values = [code, proof, now + codeMs, now, minuteMs, codesPerMinute].map(String)
    return done(await this.#ask(this.#client.issueCode(codeKey(account, code), rateKey(account), ...values)))
  }

  async logIn({ account, session, code, proof, device }: Login): Promise<Done | Refused> {
    const keys = [codeKey(account, code), sessionKey(account, session), loginsKey(account)]
    const deadline = Date.now() + this.#options.sessionMs
    const values = [proof, wrongTries, session, code, device, deadline, loginsKept].map(String)
    return done(await this.#ask(this.#client.logIn(...keys, ...values)))
  }

  async session(account: number, session: string): Promise<SessionState | undefined> {
    const fields = await this.#ask(this.#client.hmGet(sessionKey(account, session), ['device', 'deadline']))
    const [device, deadline] = fields
    return device == null || deadline == null ? undefined : { device, deadline: Number(deadline) }
  }

  async logOut(account: number, session: string): Promise<void> {
    const keys = [sessionKey(account, session), loginsKey(account)]
    await this.#ask(this.#client.logOut(...keys, session, String(loginsKept)))
  }

  /** Keeps an answer unless there is one; returns the one that is kept. */
  async remember(key: string, answer: string): Promise<{ readonly answer: string; readonly again: boolean }> {
    const deadline = String(Date.now() + this.#options.answerLifeMs)
    const [outcome, kept] = await this.#ask(this.#client.remember(answerKey(key), answer, deadline))
    return { answer: kept ?? answer, again: outcome === 'again' }
  }

  async recall(key: string): Promise<string | undefined> {
    return (await this.#ask(this.#client.get(answerKey(key)))) ?? undefined
  }

  async ping(): Promise<void> {
    await this.#ask(this.#client.ping())
  }

  close(): void {
    if (this.#client.isOpen) this.#client.destroy()
  }

  async #ask<Value>(asking: Promise<Value>): Promise<Value> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(new Error('no answer in time')), this.#options.answerMs)
    try {
      return await Promise.race([asking, late.promise])
    } catch (error) {
      // What the server itself refuses is certainly not done; a lost connection tells nothing.
      throw new StoreUnavailable(error instanceof ErrorReply ? 'not-done' : 'unknown', error)
    } finally {
      clearTimeout(timer)
    }
  }
}

function done([outcome, deadline]: readonly (string | undefined)[]): Done | Refused {
  return outcome === 'done' || outcome === 'again'
    ? { outcome, deadline: Number(deadline) }
    : { outcome: outcome as Refused['outcome'] }
}
