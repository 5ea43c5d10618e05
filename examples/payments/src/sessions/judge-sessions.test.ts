/**
 * Goal: every corruption that a move of Redis could cause is found, by its name and nothing else's.
 * Method: one short load fills a server and its journal; each test damages one key as a bad move would, expects the
 * whole set of counts, and puts the key back.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { JournalWriter } from '../journal.ts'
import { LoadClock } from '../load-clock.ts'
import { OperationStatistics } from '../operation-statistics.ts'
import { PatientClient } from '../patient-client.ts'
import { SeededRandom } from '../seeded-random.ts'
import { judgeSessions, type SessionsCorruption } from './judge-sessions.ts'
import type { SessionsLine } from './sessions-journal.ts'
import { SessionsLoad } from './sessions-load.ts'
import { startSessions } from './test-sessions.ts'

const directory = mkdtempSync(join(tmpdir(), 'judge-sessions-'))
const journal = join(directory, 'sessions.journal')
let redis: RedisServer

beforeAll(async () => {
  redis = await startRedis()
  await visitForAWhile()
}, 180_000)
afterAll(async () => {
  await redis[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

/** Until there is enough of everything. */
async function visitForAWhile(): Promise<void> {
  await using sessions = await startSessions(redis.url())
  const writer = new JournalWriter<SessionsLine>(journal)
  using client = new PatientClient({ url: sessions.url, timeoutMs: 30_000, attempts: 3 })
  const clock = new LoadClock()
  const random = new SeededRandom(7)
  const statistics = new OperationStatistics()
  const account = () => 1001 + random.below(10)
  const load = new SessionsLoad({
    client,
    journal: writer,
    clock,
    random,
    statistics,
    account,
    answerLifeMs: 3_600_000,
  })
  writer.write(clock.runLine(7, 200))
  // In rounds, since most visits do more when an earlier one has ended: a slow machine shall bring about the same.
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 10 }, () => load.visit(clock.nowMs())))
  }
  writer.close()
  expect(statistics.differing).toBe(0)
  expect(statistics.figures()).toMatchObject({ logout: { unknown: 0 }, answer: { unknown: 0 } })
}

interface Judgement {
  readonly verdict: string
  readonly found: Partial<Record<SessionsCorruption, number>>
  readonly judged: Readonly<Record<string, number>>
}

async function judged(options: { journals?: string[] } = {}): Promise<Judgement> {
  const verdict = await judgeSessions({ journals: [journal], url: redis.url(), ...options })
  const found = Object.fromEntries(Object.entries(verdict.found).filter(([, count]) => count > 0))
  return { verdict: verdict.verdict, found, judged: verdict.judged }
}

/** What the judge finds while a key is damaged. */
async function foundWith(key: string, damage: (key: string) => Promise<unknown>): Promise<Judgement['found']> {
  await using client = await redis.connect()
  await client.copy(key, 'untouched', { REPLACE: true })
  await damage(key)
  try {
    // The copy is no key that the judge knows, and so nothing that it minds.
    return (await judged()).found
  } finally {
    await client.copy('untouched', key, { REPLACE: true })
    await client.del('untouched')
  }
}

function lines(): SessionsLine[] {
  return readFileSync(journal, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as SessionsLine)
}

/** The key of a session that is open, of a code that was used, and of an answer. */
async function someKey(pattern: string): Promise<string> {
  await using client = await redis.connect()
  for await (const keys of client.scanIterator({ MATCH: pattern, COUNT: 1000 })) if (keys[0]) return keys[0]
  return expect.fail(`no key like ${pattern}`)
}
const openSession = () => someKey('*:session:*')
const usedCode = () => someKey('*:code:*')
const answer = () => someKey('answer:*')

async function command(...args: [string, ...string[]]): Promise<unknown> {
  return await redis.command(...args)
}

test('the verdict is clean for a Redis that nobody has touched', async () => {
  const { verdict, found, judged: counts } = await judged()
  expect(found).toEqual({})
  expect(verdict).toBe('clean')
  expect(counts.present).toBeGreaterThan(150)
  expect(counts.logins).toBeGreaterThan(100)
})

describe.each([
  ['a session', openSession, 'device'],
  ['a code', usedCode, 'deadline'],
] as const)('%s', (_, find, field) => {
  test('that is lost or expired early', async () => {
    expect(await foundWith(await find(), (key) => command('DEL', key))).toEqual({ goneEarly: 1 })
  })
  test('that is going to expire early', async () => {
    expect(await foundWith(await find(), (key) => command('PEXPIRE', key, '60000'))).toEqual({ expiresEarly: 1 })
  })
  test('that lost its deadline', async () => {
    expect(await foundWith(await find(), (key) => command('PERSIST', key))).toEqual({ expiresLate: 1 })
  })
  test('whose deadline was counted anew', async () => {
    const later = String(Date.now() + 1_900_000)
    expect(await foundWith(await find(), (key) => command('PEXPIREAT', key, later))).toEqual({ expiresLate: 1 })
  })
  test('that was altered', async () => {
    expect(await foundWith(await find(), (key) => command('HSET', key, field, '17'))).toEqual({ altered: 1 })
  })
})

test('an answer that is lost, altered, or has lost its deadline', async () => {
  expect(await foundWith(await answer(), (key) => command('DEL', key))).toEqual({ goneEarly: 1 })
  expect(await foundWith(await answer(), (key) => command('SET', key, '{}', 'KEEPTTL'))).toEqual({ altered: 1 })
  expect(await foundWith(await answer(), (key) => command('PERSIST', key))).toEqual({ expiresLate: 1 })
})

test('a used code that is good again', async () => {
  expect(await foundWith(await usedCode(), (key) => command('HSET', key, 'state', 'open'))).toEqual({ resurrected: 1 })
})

test('a session that was logged out and is there again', async () => {
  const logout = lines().find((line) => line.t === 'ask' && line.kind === 'logout')
  if (logout?.t !== 'ask') return expect.fail('nobody logged out')
  const key = `{${logout.account}}:session:${logout.key}`
  await command('HSET', key, 'device', 'x', 'code', 'x', 'deadline', '1')
  expect((await judged()).found).toEqual({ resurrected: 1 })
  await command('DEL', key)
})

test('a session that is still there after its deadline', async () => {
  const short = join(directory, 'short.journal')
  const deadline = Date.now() - 5000
  const writer = new JournalWriter<SessionsLine>(short)
  const login = { kind: 'login', key: 'short-1' } as const
  writer.write({ t: 'run', run: 'short', at: new Date(deadline - 1000).toISOString(), seed: 1, rate: 1 })
  writer.write({ t: 'ask', ...login, account: 2001, code: 'c', content: 'phone', ms: 1 })
  writer.write({ t: 'end', ...login, outcome: 'success', deadline, ms: 2 })
  writer.close()
  await command('XADD', '{2001}:logins', '*', 'event', 'login', 'session', 'short-1')
  const journals = [journal, short]
  expect((await judged({ journals })).found).toEqual({})
  await command('HSET', '{2001}:session:short-1', 'device', 'phone', 'code', 'c', 'deadline', String(deadline))
  await command('PEXPIRE', '{2001}:session:short-1', '60000')
  expect((await judged({ journals })).found).toEqual({ expiresLate: 1 })
  await command('DEL', '{2001}:session:short-1', '{2001}:logins')
})

test('a session that nobody asked for', async () => {
  await command('HSET', '{1001}:session:forged', 'device', 'x')
  expect((await judged()).found).toEqual({ unasked: 1 })
  await command('DEL', '{1001}:session:forged')
})

describe('the trail of an account', () => {
  const trail = () => someKey('*:logins')

  test('from which an entry is lost', async () => {
    await using client = await redis.connect()
    const found = await foundWith(await trail(), async (key) => {
      const [first] = (await client.xRange(key, '-', '+')) ?? []
      await client.xDel(key, first?.id ?? '')
    })
    expect(found).toEqual({ loginsLost: 1 })
  })

  test('in which an entry stands twice', async () => {
    await using client = await redis.connect()
    const found = await foundWith(await trail(), async (key) => {
      const last = ((await client.xRange(key, '-', '+')) ?? []).at(-1)
      await client.xAdd(key, '*', { ...last?.message })
    })
    expect(found).toEqual({ loginsDoubled: 1 })
  })

  test('that was copied in another order', async () => {
    await using client = await redis.connect()
    const found = await foundWith(await trail(), async (key) => {
      const entries = (await client.xRange(key, '-', '+')) ?? []
      await client.del(key)
      for (const { message } of entries.reverse()) await client.xAdd(key, '*', { ...message })
    })
    expect(Object.keys(found)).toEqual(['loginsReordered'])
  })
})

test('a load that was killed in mid-request leaves what may be there or not', async () => {
  const torn = join(directory, 'torn.journal')
  const writer = new JournalWriter<SessionsLine>(torn)
  writer.write({ t: 'run', run: 'torn', at: new Date().toISOString(), seed: 1, rate: 1 })
  writer.write({ t: 'ask', kind: 'login', key: 'torn-1', account: 1001, code: 'c', content: 'x', ms: 1 })
  writer.close()
  expect((await judged({ journals: [journal, torn] })).verdict).toBe('clean')
  await command('HSET', '{1001}:session:torn-1', 'device', 'x')
  await vi.waitFor(async () => expect((await judged({ journals: [journal, torn] })).verdict).toBe('clean'))
  await command('DEL', '{1001}:session:torn-1')
})
