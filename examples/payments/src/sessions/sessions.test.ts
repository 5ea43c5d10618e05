import { type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { TcpProxy } from '@replatform/testkit/tcp-proxy'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startSessions, type TestSessions } from './test-sessions.ts'

let redis: RedisServer

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => await redis[Symbol.asyncDispose]())

async function issue(sessions: TestSessions, account: number, key: string): Promise<{ code: string; digits: string }> {
  const { status, body } = await sessions.ask('POST', '/v1/codes', { key, body: { account } })
  expect(status).toBe(201)
  return { code: String(body.code), digits: String(body.digits) }
}

async function logIn(sessions: TestSessions, account: number, key: string, code: object) {
  return await sessions.ask('POST', '/v1/sessions', { key, body: { account, device: 'phone', ...code } })
}

describe('a one-time code', () => {
  test('opens one session, and a repeated request the same one', async () => {
    await using sessions = await startSessions(redis.url())
    const code = await issue(sessions, 1001, 'c-1')
    const first = await logIn(sessions, 1001, 's-1', code)
    expect(first.status).toBe(201)
    expect(await logIn(sessions, 1001, 's-1', code)).toEqual(first)
    expect(await logIn(sessions, 1001, 's-2', code)).toEqual({ status: 422, body: { error: 'code-is-gone' } })
  })

  test('stays used when the request that issued it arrives again, late', async () => {
    await using sessions = await startSessions(redis.url())
    const code = await issue(sessions, 1002, 'c-2')
    await logIn(sessions, 1002, 's-3', code)
    await issue(sessions, 1002, 'c-2')
    expect((await logIn(sessions, 1002, 's-4', code)).status).toBe(422)
  })

  test('is spent after three wrong tries', async () => {
    await using sessions = await startSessions(redis.url())
    const code = await issue(sessions, 1003, 'c-3')
    const wrong = { ...code, digits: code.digits === '000000' ? '000001' : '000000' }
    for (const n of [1, 2, 3]) {
      expect((await logIn(sessions, 1003, `s-w${n}`, wrong)).body).toEqual({ error: 'wrong-digits' })
    }
    expect((await logIn(sessions, 1003, 's-5', code)).body).toEqual({ error: 'code-is-gone' })
  })

  test('is issued only so often a minute', async () => {
    await using sessions = await startSessions(redis.url(), { codesPerMinute: 2 })
    await issue(sessions, 1004, 'c-4')
    await issue(sessions, 1004, 'c-5')
    expect((await sessions.ask('POST', '/v1/codes', { key: 'c-6', body: { account: 1004 } })).status).toBe(429)
    await issue(sessions, 1005, 'c-7')
  })
})

describe('a session', () => {
  test('is good until its deadline and no longer', async () => {
    await using sessions = await startSessions(redis.url(), { sessionMs: 400 })
    const { body } = await logIn(sessions, 1010, 's-10', await issue(sessions, 1010, 'c-10'))
    const token = String(body.token)
    const states: [number, number][] = []
    await vi.waitUntil(
      async () => {
        const askedAt = Date.now()
        const { status } = await sessions.ask('GET', '/v1/sessions/current', { token })
        states.push([askedAt, status])
        return status === 401
      },
      { timeout: 10_000, interval: 20 },
    )
    const deadline = Number(body.deadline)
    expect(states.filter(([askedAt, status]) => askedAt > deadline && status === 200)).toEqual([])
    expect(states.at(-1)?.[0]).toBeGreaterThan(deadline - 100)
  })

  test('ends when its customer leaves', async () => {
    await using sessions = await startSessions(redis.url())
    const code = await issue(sessions, 1011, 'c-11')
    const { body } = await logIn(sessions, 1011, 's-11', code)
    const token = String(body.token)
    expect((await sessions.ask('GET', '/v1/sessions/current', { token })).body).toMatchObject({ account: 1011 })
    expect((await sessions.ask('DELETE', '/v1/sessions/current', { token })).status).toBe(204)
    expect((await sessions.ask('GET', '/v1/sessions/current', { token })).status).toBe(401)
    expect((await logIn(sessions, 1011, 's-11', code)).status).toBe(422)
  })

  test('is nobody else’s: a token that was changed is none', async () => {
    await using sessions = await startSessions(redis.url())
    const { body } = await logIn(sessions, 1012, 's-12', await issue(sessions, 1012, 'c-12'))
    const token = String(body.token).replace('1012', '1013')
    expect((await sessions.ask('GET', '/v1/sessions/current', { token })).status).toBe(401)
  })
})

test('the first answer to a key stays, and another request gets none of it', async () => {
  await using sessions = await startSessions(redis.url())
  const answer = { request: 'r-1', status: 201, body: '{"transfer":"7"}' }
  expect(await sessions.ask('PUT', '/v1/answers/k-1', { body: answer })).toEqual({ status: 201, body: answer })
  const later = { ...answer, body: 'other' }
  expect(await sessions.ask('PUT', '/v1/answers/k-1', { body: later })).toEqual({ status: 200, body: answer })
  expect((await sessions.ask('PUT', '/v1/answers/k-1', { body: { ...answer, request: 'r-2' } })).status).toBe(409)
  expect(await sessions.ask('GET', '/v1/answers/k-1')).toEqual({ status: 200, body: answer })
  expect((await sessions.ask('GET', '/v1/answers/k-2')).status).toBe(404)
})

test('a lost connection comes back by itself; what is asked meanwhile is late or honestly unknown', async () => {
  await using proxy = new TcpProxy(redis)
  await proxy.listen()
  await using sessions = await startSessions(proxy.url(redis.url()), { answerMs: 1500 })
  await vi.waitUntil(() => isReady(sessions), { timeout: 10_000 })
  proxy.refuse()
  expect(await sessions.ask('GET', '/health/ready')).toEqual({ status: 503, body: { outcome: 'unknown' } })
  expect((await sessions.ask('GET', '/health/live')).status).toBe(200)
  const waiting = sessions.ask('PUT', '/v1/answers/k-late', { body: { request: 'r', status: 200, body: '' } })
  await proxy.restore()
  expect([200, 201, 503]).toContain((await waiting).status)
  await vi.waitUntil(() => isReady(sessions), { timeout: 10_000 })
  const metrics = await (await fetch(`${sessions.url}/metrics`)).text()
  expect(metrics).toContain('sessions_answers_total{operation="/v1/answers/:key"')
})

async function isReady(sessions: TestSessions): Promise<boolean> {
  return (await sessions.ask('GET', '/health/ready')).status === 200
}
