/**
 * Goal: what was paid is found, soon and once; what a move of the search server could damage is found.
 * Method: an inbox as the consumers leave it, carried to a real Elasticsearch 7.10; each test damages one document.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startElasticsearch } from '@replatform/testkit/elasticsearch-server'
import { type MariadbServer, startMariadb } from '@replatform/testkit/mariadb-server'
import type { SearchServer } from '@replatform/testkit/search-server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createConsumers } from '../events/consumers-setup.ts'
import { JournalWriter } from '../journal.ts'
import { LoadClock } from '../load-clock.ts'
import { createMerchantTables, MerchantDatabase } from '../merchants/merchant-database.ts'
import { MerchantRegistry } from '../merchants/merchant-registry.ts'
import { OperationStatistics } from '../operation-statistics.ts'
import { PatientClient } from '../patient-client.ts'
import { SeededRandom } from '../seeded-random.ts'
import { startTestDatabase, type TestDatabase } from '../test-database.ts'
import { createLedger, query } from '../test-wallet.ts'
import { judgeSearch, type SearchCorruption } from './judge-search.ts'
import { SearchIndexer } from './search-indexer.ts'
import type { SearchLine } from './search-journal.ts'
import { SearchLoad } from './search-load.ts'
import { createSearchServer } from './search-server.ts'
import { SearchStore } from './search-store.ts'

let database: TestDatabase
let search: SearchServer
let mariadb: MariadbServer
let merchants: MerchantDatabase
let store: SearchStore
let consumersUrl: string
const stop = new AbortController()
let indexing: Promise<void>

beforeAll(async () => {
  ;[database, search, mariadb] = await Promise.all([startTestDatabase(17), startElasticsearch(), startMariadb()])
  await createLedger(database, 'wallet', { accounts: 20 })
  await query(database.url('postgres'), 'CREATE DATABASE consumers')
  consumersUrl = database.url('postgres', 'consumers')
  await createConsumers(consumersUrl, database.url('wallet', 'wallet'))
  await mariadb.query('CREATE DATABASE merchants')
  await createMerchantTables(mariadb.url('merchants'))
  merchants = new MerchantDatabase(mariadb.url('merchants'))
  store = new SearchStore(search.url())
  indexing = new SearchIndexer({ consumersUrl, merchants, store, onFailure: () => undefined }).run(stop.signal)
  await take(200)
}, 120_000)
afterAll(async () => {
  stop.abort()
  await indexing
  await store.close()
  await merchants.close()
  await mariadb[Symbol.asyncDispose]()
  await search[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

/** Pays, lets the consumer take the events, and waits until all are found unless told not to. */
async function take(count: number, wait = true): Promise<void> {
  const ledgerUrl = database.url('wallet', 'wallet')
  const before = await query<{ id: string }>(ledgerUrl, 'SELECT max(id) AS id FROM ledger.outbox')
  await query(
    ledgerUrl,
    `SELECT ledger.pay('find-' || n || '-' || extract(epoch FROM clock_timestamp()), '\\x', 'transfer', 1001 + n % 5, 1001 + (n + 1) % 5, 10)
       FROM generate_series(1, ${count}) n`,
  )
  const events = await query<{ e: object }>(
    ledgerUrl,
    `SELECT jsonb_build_object('event', id::text, 'topic', topic, 'subject', subject, 'payload', payload) AS e
       FROM ledger.outbox WHERE id > $1 ORDER BY id`,
    [before[0]?.id],
  )
  const all = JSON.stringify(events.map(({ e }) => e))
  await query(consumersUrl, `SELECT consumers.take_all('search-index', $1)`, [all])
  if (wait) await allFound()
}

async function allFound(): Promise<void> {
  await vi.waitUntil(async () => Object.keys(await found()).length === 0, { timeout: 30_000, interval: 200 })
}

async function found(): Promise<Partial<Record<SearchCorruption, number>>> {
  await search.request('POST', 'tx-*/_refresh')
  const verdict = await judgeSearch({ url: search.url(), consumersUrl, freshnessMs: 0 })
  return Object.fromEntries(Object.entries(verdict.found).filter(([, count]) => count > 0))
}

interface Stored {
  readonly _id: string
  readonly _index: string
  readonly _version: number
  readonly _source: Record<string, unknown>
}

async function someDocument(): Promise<Stored> {
  const { body } = await search.request('POST', 'tx-*/_search?version=true', {
    size: 1,
    query: { term: { amount: 10 } },
  })
  return (body as { hits: { hits: [Stored] } }).hits.hits[0]
}

test('nothing is found to be wrong, and payments are found by their account', async () => {
  expect(await found()).toEqual({})
  const app = createSearchServer(store)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const { transactions } = (await (await fetch(`${url}/v1/transactions?account=1003`)).json()) as {
    transactions: { reference: string; debit: number; credit: number }[]
  }
  expect(transactions).toHaveLength(50)
  expect(transactions.every(({ debit, credit }) => debit === 1003 || credit === 1003)).toBe(true)
  const [{ reference } = { reference: '' }] = transactions
  expect(await (await fetch(`${url}/v1/transactions/${reference}`)).json()).toEqual(transactions[0])
  expect((await fetch(`${url}/v1/transactions/nobody`)).status).toBe(404)
  expect((await fetch(`${url}/health/ready`)).status).toBe(200)
  await app.close()
})

test('customers who look for what they have just paid find it, or give up and say so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'search-'))
  const journal = new JournalWriter<SearchLine>(join(folder, 'search.journal'))
  const app = createSearchServer(store)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  using client = new PatientClient({ url, timeoutMs: 30_000, attempts: 1 })
  const statistics = new OperationStatistics()
  const load = new SearchLoad({
    ...{ client, journal, statistics, clock: new LoadClock(), random: new SeededRandom(1) },
    withinMs: 300,
  })
  const [{ subject } = { subject: '' }] = await query<{ subject: string }>(
    consumersUrl,
    'SELECT subject FROM consumers.inbox LIMIT 1',
  )
  // Two of a hundred look.
  for (let n = 0; n < 200; n++) load.acknowledged(subject)
  await load.ended()
  const found = statistics.figures().find?.success ?? 0
  expect(found).toBeGreaterThan(0)
  for (let n = 0; n < 200; n++) load.acknowledged('nobody')
  await load.ended()
  expect(statistics.figures().find).toMatchObject({ success: found, refused: expect.any(Number) })
  expect(statistics.figures().find?.refused).toBeGreaterThan(0)
  await app.close()
  journal.close()
  await rm(folder, { recursive: true })
})

test('a merchant is found by a part of the name, however it is typed', async () => {
  const bank = { bankBin: '970418', bankAccount: '6254046383' }
  const registry = new MerchantRegistry(merchants)
  await registry.onboard({ partnerCode: 'PHO', name: 'Phở Hà Nội', walletAccount: 1001, ...bank })
  await registry.onboard({ partnerCode: 'BUN', name: 'Bún Huế', walletAccount: 1002, ...bank })
  const named = async (name: string) => (await store.merchantsNamed(name)).map(({ _source }) => _source)
  const pho = { id: expect.anything(), name: 'Phở Hà Nội', partnerCode: 'PHO', walletAccount: 1001 }
  await vi.waitFor(async () => expect(await named('ha noi pho')).toEqual([pho]), { timeout: 10_000, interval: 200 })
  expect(await named('huế nội')).toEqual([])
})

test('an older version never replaces a newer one', async () => {
  const { _id, _index, _version, _source } = await someDocument()
  await store.index([{ index: _index, id: _id, version: _version - 1, source: { ..._source, amount: 1 } }])
  expect(await found()).toEqual({})
})

test('what is taken while the server is away is found when it is back', async () => {
  await search.stop()
  await take(50, false)
  await search.restart()
  await allFound()
  expect(await found()).toEqual({})
})

describe('the judge finds', () => {
  test('a document that is lost', async () => {
    const { _id, _index } = await someDocument()
    await search.request('DELETE', `${_index}/_doc/${_id}`)
    expect(await found()).toEqual({ lost: 1 })
  })

  test('a document in two indexes', async () => {
    const { _id, _source, _version } = await someDocument()
    const path = `tx-2020.01/_doc/${_id}?version=${_version}&version_type=external`
    await search.request('PUT', path, _source)
    // Beside the one that the test before has lost.
    expect(await found()).toEqual({ lost: 1, doubled: 1 })
    await search.request('DELETE', 'tx-2020.01')
  })

  test('a document that was altered', async () => {
    const one = await someDocument()
    const path = `${one._index}/_doc/${one._id}?version=${one._version}&version_type=external_gte`
    await search.request('PUT', path, { ...one._source, amount: 11 })
    expect(await found()).toEqual({ lost: 1, altered: 1 })
    await search.request('PUT', path, one._source)
  })

  test('a document of another version', async () => {
    const one = await someDocument()
    const path = `${one._index}/_doc/${one._id}?version=${one._version + 1000}&version_type=external`
    await search.request('PUT', path, one._source)
    expect(await found()).toEqual({ lost: 1, versionDiffers: 1 })
  })

  test('a payment that somebody looked for in vain', async () => {
    const journal = join(await mkdtemp(join(tmpdir(), 'search-')), 'search.journal')
    const writer = new JournalWriter<SearchLine>(journal)
    writer.write({ t: 'sought', key: 'find-1', foundMs: 900, ms: 1000 })
    writer.write({ t: 'sought', key: 'find-2', foundMs: null, ms: 6000 })
    writer.close()
    const verdict = await judgeSearch({ url: search.url(), consumersUrl, freshnessMs: 0, journals: [journal] })
    expect(verdict).toMatchObject({ found: { late: 1 }, samples: { late: ['find-2'] }, judged: { sought: 2 } })
    await rm(dirname(journal), { recursive: true })
  })

  test('a document of no payment', async () => {
    const { _source } = await someDocument()
    await search.request('PUT', 'tx-2020.01/_doc/999999', { ..._source, event: 999_999 })
    expect(await found()).toEqual({ lost: 1, versionDiffers: 1, unasked: 1 })
  })
})
