import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startTestDatabase, type TestDatabase } from './test-database.ts'
import { startPooler, type TestPooler } from './test-pooler.ts'
import { createLedger, opening, query, startWallet } from './test-wallet.ts'

let database: TestDatabase
let walletUrl: string
let ownerUrl: string

beforeAll(async () => {
  database = await startTestDatabase(17)
  await createLedger(database, 'wallet', { accounts: 200 })
  walletUrl = database.url('wallet', 'wallet')
  ownerUrl = database.url('wallet_owner', 'wallet')
})
afterAll(async () => await database[Symbol.asyncDispose]())

async function balance(account: number): Promise<string | undefined> {
  const rows = await query<{ balance: string }>(ownerUrl, 'SELECT balance FROM ledger.accounts WHERE id = $1', [
    account,
  ])
  return rows[0]?.balance
}

async function transfersWithKey(key: string): Promise<number> {
  return (await query(ownerUrl, 'SELECT FROM ledger.transfers WHERE reference = $1', [key])).length
}

describe('one key, one payment', () => {
  test('twenty requests with one key at once pay once, and all get the same answer', async () => {
    await using wallet = await startWallet(walletUrl)
    const body = { from: 1001, to: 1002, amount: 100 }
    const answers = await Promise.all(Array.from({ length: 20 }, () => wallet.post('/v1/transfers', 'k-same', body)))
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]?.status).toBe(201)
    expect(await balance(1001)).toBe(String(opening - 100))
    expect(await transfersWithKey('k-same')).toBe(1)
  })

  test('a key used again for another request is refused and pays nothing', async () => {
    await using wallet = await startWallet(walletUrl)
    await wallet.post('/v1/transfers', 'k-other', { from: 1003, to: 1004, amount: 100 })
    const second = await wallet.post('/v1/transfers', 'k-other', { from: 1003, to: 1004, amount: 101 })
    expect(second.status).toBe(409)
    expect(await balance(1003)).toBe(String(opening - 100))
  })

  test('a refusal is an answer too: it stays, even when there would be funds later', async () => {
    await using wallet = await startWallet(walletUrl)
    const body = { from: 1005, to: 1006, amount: opening + 1 }
    const first = await wallet.post('/v1/transfers', 'k-poor', body)
    expect(first).toEqual({ status: 422, text: '{"error" : "insufficient-funds"}' })
    expect((await wallet.post('/v1/top-ups', 'k-salary', { account: 1005, amount: 10 })).status).toBe(201)
    expect(await wallet.post('/v1/transfers', 'k-poor', body)).toEqual(first)
    expect(await transfersWithKey('k-poor')).toBe(0)
  })
})

describe('money', () => {
  test('crossing payments between few accounts neither deadlock nor overdraw', async () => {
    await using wallet = await startWallet(walletUrl)
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const [from, to] = n % 2 === 0 ? [1010, 1011] : [1011, 1010]
        return wallet.post('/v1/transfers', `k-cross-${n}`, { from, to, amount: 30_000 })
      }),
    )
    expect(answers.filter(({ status }) => status !== 201 && status !== 422)).toEqual([])
    const [one, two] = [Number(await balance(1010)), Number(await balance(1011))]
    expect(one + two).toBe(2 * opening)
    expect(Math.min(one, two)).toBeGreaterThanOrEqual(0)
  })

  test('a hold is closed once: captured for its payee, or released, not both', async () => {
    await using wallet = await startWallet(walletUrl)
    const held = await wallet.post('/v1/holds', 'k-hold', { account: 1020, payee: 1021, amount: 400 })
    const { hold } = JSON.parse(held.text) as { hold: string }
    expect(await balance(1020)).toBe(String(opening - 400))
    const closings = await Promise.all([
      wallet.post(`/v1/holds/${hold}/capture`, 'k-capture'),
      wallet.post(`/v1/holds/${hold}/release`, 'k-release'),
    ])
    expect(closings.map(({ status }) => status).sort()).toEqual([201, 422])
    expect(Number(await balance(1020)) + Number(await balance(1021))).toBe(2 * opening)
    const trail = await query(ownerUrl, 'SELECT FROM ledger.events WHERE subject = $1', [`hold:${hold}`])
    expect(trail).toHaveLength(2)
  })

  test('a hold is captured in parts up to its amount, and what is left is released', async () => {
    await using wallet = await startWallet(walletUrl)
    const held = await wallet.post('/v1/holds', 'k-parts', { account: 1022, payee: 1023, amount: 400 })
    const { hold } = JSON.parse(held.text) as { hold: string }
    const capture = async (key: string, amount: number) =>
      await wallet.post(`/v1/holds/${hold}/capture`, key, { amount })
    expect((await capture('k-part-1', 150)).status).toBe(201)
    expect((await capture('k-part-2', 300)).text).toContain('more-than-is-held')
    expect((await capture('k-part-3', 50)).status).toBe(201)
    expect((await wallet.post(`/v1/holds/${hold}/release`, 'k-rest')).status).toBe(201)
    expect(await balance(1022)).toBe(String(opening - 200))
    expect(await balance(1023)).toBe(String(opening + 200))
  })

  test('refunds go back to who paid, and are together never more than the payment', async () => {
    await using wallet = await startWallet(walletUrl)
    const held = await wallet.post('/v1/holds', 'k-bought', { account: 1024, payee: 1025, amount: 400 })
    const { hold } = JSON.parse(held.text) as { hold: string }
    const captured = await wallet.post(`/v1/holds/${hold}/capture`, 'k-sold')
    const { transfer } = JSON.parse(captured.text) as { transfer: string }
    const answers = await Promise.all(
      ['k-back-1', 'k-back-2', 'k-back-3'].map((key) =>
        wallet.post(`/v1/transfers/${transfer}/refund`, key, { amount: 150 }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 422])
    expect(await balance(1024)).toBe(String(opening - 100))
    expect(await balance(1025)).toBe(String(opening + 100))
    expect((await wallet.post(`/v1/transfers/999999/refund`, 'k-back-4', { amount: 1 })).status).toBe(422)
  })

  test.each([
    ['a fraction', '{"from":1001,"to":1002,"amount":1.5}'],
    ['nothing', '{"from":1001,"to":1002,"amount":0}'],
    ['a negative amount', '{"from":1001,"to":1002,"amount":-5}'],
    ['an amount beyond what JSON numbers hold', '{"from":1001,"to":1002,"amount":9007199254740993}'],
    ['text', '{"from":1001,"to":1002,"amount":"5"}'],
    ['a field that is not known', '{"from":1001,"to":1002,"amount":5,"fee":1}'],
    ['one account twice', '{"from":1001,"to":1001,"amount":5}'],
  ])('%s is no payment', async (_, body) => {
    await using wallet = await startWallet(walletUrl)
    const headers = { 'idempotency-key': 'k-bad', 'content-type': 'application/json' }
    const response = await fetch(`${wallet.url}/v1/transfers`, { method: 'POST', headers, body })
    expect(response.status).toBe(400)
    expect(await transfersWithKey('k-bad')).toBe(0)
  })

  test('a payment needs a key', async () => {
    await using wallet = await startWallet(walletUrl)
    const headers = { 'content-type': 'application/json' }
    const body = '{"account":1001,"amount":5}'
    expect((await fetch(`${wallet.url}/v1/top-ups`, { method: 'POST', headers, body })).status).toBe(400)
  })
})

describe('behind a transaction pooler', () => {
  test('payments that are held are only late', async () => {
    await using pooler = await startPooler(walletUrl)
    await using wallet = await startWallet(pooler.url)
    expect((await wallet.post('/v1/top-ups', 'k-pooled', { account: 1050, amount: 5 })).status).toBe(201)
    await pooler.console.query('PAUSE wallet')
    const paying = Array.from({ length: 20 }, (_, n) =>
      wallet.post('/v1/transfers', `k-held-${n}`, { from: 1051, to: 1052, amount: 1 }),
    )
    await vi.waitUntil(async () => (await waitingClients(pooler)) > 0, { timeout: 10_000 })
    expect(await balance(1051)).toBe(String(opening))
    await pooler.console.query('RESUME wallet')
    expect((await Promise.all(paying)).map(({ status }) => status)).toEqual(Array(20).fill(201))
    expect(await balance(1051)).toBe(String(opening - 20))
  })

  test('who gives up while waiting is not paid for', async () => {
    await using pooler = await startPooler(walletUrl)
    await using wallet = await startWallet(pooler.url)
    // A pooler that has never seen its server lets nobody log in while it is paused.
    expect((await wallet.post('/v1/top-ups', 'k-warm', { account: 1050, amount: 5 })).status).toBe(201)
    await pooler.console.query('PAUSE wallet')
    // As many as the wallet has connections: whoever comes after them waits in the wallet itself.
    const paying = Array.from({ length: 8 }, (_, n) =>
      wallet.post('/v1/transfers', `k-first-${n}`, { from: 1053, to: 1054, amount: 1 }),
    )
    await vi.waitUntil(async () => (await waitingClients(pooler)) === 8, { timeout: 10_000 })
    const impatience = new AbortController()
    const body = { from: 1053, to: 1054, amount: 1000 }
    const givenUp = wallet.post('/v1/transfers', 'k-given-up', body, impatience.signal)
    await expect.poll(() => wallet.waiting, { timeout: 10_000 }).toBe(1)
    impatience.abort()
    await expect(givenUp).rejects.toThrow('aborted')
    await pooler.console.query('RESUME wallet')
    expect((await Promise.all(paying)).map(({ status }) => status)).toEqual(Array(8).fill(201))
    expect((await wallet.post('/v1/transfers', 'k-last', { from: 1053, to: 1054, amount: 1 })).status).toBe(201)
    expect(await balance(1053)).toBe(String(opening - 9))
    expect((await wallet.post('/v1/transfers', 'k-given-up', body)).status).toBe(201)
  })

  async function waitingClients(pooler: TestPooler): Promise<number> {
    const pools = await pooler.console.query<{ database: string; cl_waiting: string }>('SHOW POOLS')
    return Number(pools.rows.find((pool) => pool.database === 'wallet')?.cl_waiting ?? 0)
  }
})

describe('a database that fails', () => {
  test('a session ended in mid-payment leaves the outcome unknown, and the same key settles it', async () => {
    await using wallet = await startWallet(walletUrl)
    const body = { from: 1030, to: 1031, amount: 70 }
    const blocker = new Client({ connectionString: ownerUrl })
    await blocker.connect()
    await blocker.query('BEGIN; SELECT FROM ledger.accounts WHERE id = 1030 FOR UPDATE')
    const paying = wallet.post('/v1/transfers', 'k-cut', body)
    await vi.waitUntil(() => endWaitingSessions(), { timeout: 10_000 })
    expect(await paying).toEqual({ status: 503, text: '{"outcome":"unknown"}' })
    await blocker.end()
    expect((await wallet.post('/v1/transfers', 'k-cut', body)).status).toBe(201)
    expect(await balance(1030)).toBe(String(opening - 70))
  })

  test('a statement that the database refuses was certainly not done', async () => {
    await using wallet = await startWallet(walletUrl)
    await query(ownerUrl, 'REVOKE INSERT ON ledger.outbox FROM wallet')
    const body = { from: 1032, to: 1033, amount: 70 }
    const refused = await wallet.post('/v1/transfers', 'k-fenced', body)
    await query(ownerUrl, 'GRANT INSERT ON ledger.outbox TO wallet')
    expect(refused).toEqual({ status: 503, text: '{"outcome":"not-done"}' })
    expect(await transfersWithKey('k-fenced')).toBe(0)
    expect((await wallet.post('/v1/transfers', 'k-fenced', body)).status).toBe(201)
  })

  async function endWaitingSessions(): Promise<boolean> {
    const ended = await query(
      database.url('postgres'),
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wallet' AND wait_event_type = 'Lock'`,
    )
    return ended.length > 0
  }
})

test('health and metrics tell what is', async () => {
  await using wallet = await startWallet(walletUrl)
  await wallet.post('/v1/top-ups', 'k-metrics', { account: 1040, amount: 5 })
  expect(await (await fetch(`${wallet.url}/health/ready`)).json()).toEqual({ ready: true })
  expect(await (await fetch(`${wallet.url}/v1/accounts/1040`)).json()).toMatchObject({ balance: String(opening + 5) })
  expect((await fetch(`${wallet.url}/v1/accounts/999999`)).status).toBe(404)
  expect(await (await fetch(`${wallet.url}/metrics`)).text()).toContain(
    'wallet_answers_total{operation="/v1/top-ups",status="201"} 1',
  )
})
