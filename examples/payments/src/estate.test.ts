/**
 * Goal: the whole platform works together: every service as a process of its own, behind the gateway, under load, ends
 * with a clean verdict in every store.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { debianProgram } from '@replatform/testkit/debian-package'
import { startElasticsearch } from '@replatform/testkit/elasticsearch-server'
import { startMariadb } from '@replatform/testkit/mariadb-server'
import { startMongodb } from '@replatform/testkit/mongodb-server'
import { startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { startRedis } from '@replatform/testkit/redis-server'
import { afterAll, expect, test, vi } from 'vitest'
import { freePort, startTestDatabase } from './test-database.ts'
import { finished, start, startService } from './test-program.ts'
import { createLedger, query } from './test-wallet.ts'

const stack = new AsyncDisposableStack()
afterAll(async () => await stack.disposeAsync(), 60_000)

test('a load on everything ends with a clean verdict everywhere', async () => {
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'estate-')), (path) => rm(path, { recursive: true }))
  const [postgresql, redis, rabbitmq, mariadb, mongodb, elasticsearch] = await Promise.all([
    startTestDatabase(17),
    startRedis(),
    startRabbitmq(),
    startMariadb(),
    startMongodb(),
    startElasticsearch(),
  ])
  for (const server of [postgresql, redis, rabbitmq, mariadb, mongodb, elasticsearch]) stack.use(server)

  await createLedger(postgresql, 'wallet', { accounts: 100, historyRows: 500 })
  await query(postgresql.url('postgres'), 'CREATE DATABASE consumers')
  await mariadb.query('CREATE DATABASE merchants')
  const ledgerUrl = postgresql.url('wallet', 'wallet')
  const consumersUrl = postgresql.url('postgres', 'consumers')
  const merchantsUrl = mariadb.url('merchants')
  const mongodbUrl = new URL(mongodb.url('profiles'))
  mongodbUrl.searchParams.set('authSource', 'admin')
  const profilesUrl = mongodbUrl.href
  const share = join(folder, 'receipts')
  const journals = join(folder, 'journals')
  const baseline = join(folder, 'baseline.json')

  // What has to be there before anybody comes.
  await finished(start('consumers-main.ts', [], { CONSUMERS_OWNER_URL: consumersUrl, EVENTS_LEDGER_URL: ledgerUrl }))
  await finished(start('merchants-main.ts', ['--create-tables'], { MERCHANTS_DATABASE_URL: merchantsUrl }))
  await finished(start('profiles-main.ts', ['--create-indexes'], { PROFILES_MONGODB_URL: profilesUrl }))
  await finished(start('judge-main.ts', ['--record-baseline', baseline], { JUDGE_DATABASE_URL: ledgerUrl }))

  const wallet = stack.use(await startService('wallet-main.ts', { WALLET_DATABASE_URL: ledgerUrl }))
  const services = await Promise.all([
    startService('sessions-main.ts', { SESSIONS_REDIS_URL: redis.url(), SESSIONS_SECRET: 'a secret of the tests' }),
    startService('merchants-main.ts', { MERCHANTS_DATABASE_URL: merchantsUrl, MERCHANTS_WALLET_URL: wallet.url }),
    startService('profiles-main.ts', { PROFILES_MONGODB_URL: profilesUrl }),
    startService('search-main.ts', {
      SEARCH_URL: elasticsearch.url(),
      SEARCH_CONSUMERS_URL: consumersUrl,
      SEARCH_MERCHANTS_URL: merchantsUrl,
    }),
    startService('receipts-main.ts', { RECEIPTS_SHARE: share, RECEIPTS_CONSUMERS_URL: consumersUrl }),
    startService('events-main.ts', {
      EVENTS_LEDGER_URL: ledgerUrl,
      EVENTS_CONSUMERS_URL: consumersUrl,
      EVENTS_BROKER_URL: rabbitmq.url(),
    }),
  ])
  for (const service of services) stack.use(service)
  const [sessions, merchants, profiles, search, receipts] = services
  const gateway = await startGateway({
    WALLET_ADDRESS: addressOf(wallet.url),
    SESSIONS_ADDRESS: addressOf(sessions.url),
    MERCHANTS_ADDRESS: addressOf(merchants.url),
    PROFILES_ADDRESS: addressOf(profiles.url),
    SEARCH_ADDRESS: addressOf(search.url),
    RECEIPTS_ADDRESS: addressOf(receipts.url),
  })

  const load = ['--rate', '60', '--seconds', '4', '--accounts', '100', '--journals', journals, '--settle']
  const lines = await finished<Summary>(start('load-main.ts', load, { LOAD_GATEWAY_URL: gateway }))
  const summary = lines.at(-1)
  expect(summary).toMatchObject({ type: 'summary', differing: 0 })
  const kinds = ['wallet', 'sessions', 'merchants', 'profiles']
  expect(Object.keys(summary?.services ?? {})).toEqual(kinds)
  for (const operations of Object.values(summary?.services ?? {})) {
    for (const figures of Object.values(operations)) expect(figures).toMatchObject({ unknown: 0 })
  }

  const day = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  const settling = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ day }) }
  expect((await fetch(`${merchants.url}/v1/settlements`, settling)).status).toBe(200)

  const judging = ['--journal', join(journals, 'wallet.journal'), '--baseline', baseline, '--json']
  const [ledger] = await finished<{ verdict: string }>(
    start('judge-main.ts', judging, { JUDGE_DATABASE_URL: ledgerUrl }),
  )
  expect(ledger?.verdict).toBe('clean')
  const named = ['sessions', 'merchants', 'profiles'].flatMap((kind) => [
    `--${kind}-journal`,
    join(journals, `${kind}.journal`),
  ])
  const stores = {
    JUDGE_DATABASE_URL: ledgerUrl,
    JUDGE_REDIS_URL: redis.url(),
    JUDGE_CONSUMERS_URL: consumersUrl,
    JUDGE_BROKER_URL: rabbitmq.url(),
    JUDGE_MARIADB_URL: merchantsUrl,
    JUDGE_MONGODB_URL: profilesUrl,
    JUDGE_SEARCH_URL: elasticsearch.url(),
    JUDGE_RECEIPTS_SHARE: share,
  }
  // Events may still be on their way.
  await vi.waitFor(
    async () => {
      const verdicts = await finished<{ store: string; verdict: string }>(start('judge-stores-main.ts', named, stores))
      expect(Object.fromEntries(verdicts.map(({ store, verdict }) => [store, verdict]))).toEqual({
        sessions: 'clean',
        events: 'clean',
        merchants: 'clean',
        profiles: 'clean',
        search: 'clean',
        receipts: 'clean',
      })
    },
    { timeout: 30_000, interval: 1000 },
  )
}, 120_000)

interface Summary {
  readonly type: string
  readonly services: Readonly<Record<string, Readonly<Record<string, object>>>>
}

async function startGateway(addresses: Record<string, string>): Promise<string> {
  const program = await debianProgram('haproxy', 'haproxy')
  const address = `127.0.0.1:${await freePort()}`
  const env = { PATH: '/usr/sbin:/usr/bin:/bin', GATEWAY_ADDRESS: address, ...addresses }
  const settings = join(import.meta.dirname, '../gateway/haproxy.cfg')
  const gateway = spawn(program, ['-db', '-f', settings], { env, stdio: 'ignore' })
  stack.defer(async () => {
    const exited = once(gateway, 'exit')
    gateway.kill('SIGTERM')
    await exited
  })
  await vi.waitUntil(() => fetch(`http://${address}`).then(Boolean, () => false), { timeout: 10_000 })
  return `http://${address}`
}

function addressOf(url: string): string {
  return new URL(url).host
}
