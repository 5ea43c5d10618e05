/** The service of sessions on a throw-away Redis, for the tests here. */
import type { AddressInfo } from 'node:net'
import { SessionStore, type SessionStoreOptions } from './session-store.ts'
import { SessionTokens } from './session-tokens.ts'
import { createSessionsServer } from './sessions-server.ts'

export interface TestSessions extends AsyncDisposable {
  readonly url: string
  /** Body parsed, where there is one. */
  ask(method: string, path: string, options?: AskOptions): Promise<TestAnswer>
}

export interface AskOptions {
  readonly key?: string
  readonly token?: string
  readonly body?: object
}

export interface TestAnswer {
  readonly status: number
  readonly body: Record<string, unknown>
}

export async function startSessions(
  redisUrl: string,
  options: Partial<SessionStoreOptions> = {},
): Promise<TestSessions> {
  const store = new SessionStore({
    url: redisUrl,
    answerMs: 10_000,
    onConnectionError: () => undefined,
    codeMs: 180_000,
    sessionMs: 1_800_000,
    answerLifeMs: 3_600_000,
    codesPerMinute: 1000,
    ...options,
  })
  const app = createSessionsServer(store, new SessionTokens('a secret of the tests'))
  store.connect()
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  return {
    url,
    async ask(method, path, { key, token, body } = {}) {
      const headers = {
        ...(key && { 'idempotency-key': key }),
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      }
      const response = await fetch(url + path, { method, headers, body: body ? JSON.stringify(body) : null })
      const text = await response.text()
      return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      store.close()
    },
  }
}
