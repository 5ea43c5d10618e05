/**
 * Goal: the ledger and its idempotency keys, a PostgreSQL and a Redis, go over, come back and go over again at one
 * point each. Method: the real command line and servers; every payment writes to both, through PgBouncer and HAProxy.
 */
import type { Operation } from '@replatform/control/api-types'
import { startHaproxy } from '@replatform/testkit/haproxy-server'
import { startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import { startRedis } from '@replatform/testkit/redis-server'
import { expect, test } from 'vitest'
import { CliRig } from './test-fixtures/cli-rig.ts'
import { MixedPayer } from './test-fixtures/mixed-payer.ts'

const app = { user: 'mixed_app', password: 'app-password' }
const ledger = 'mixed-ledger'
const cache = 'mixed-cache'

async function openStage() {
  await using opened = new AsyncDisposableStack()
  const [old, fresh] = [
    opened.use(await startPostgresql({ major: 13 })),
    opened.use(await startPostgresql({ major: 17 })),
  ]
  for (const server of [old, fresh]) {
    await server.query(`CREATE ROLE ${app.user} LOGIN PASSWORD '${app.password}'`)
    await server.createDatabase(ledger)
  }
  await old.query(
    `CREATE TABLE payments (reference text PRIMARY KEY, amount bigint NOT NULL); GRANT ALL ON payments TO ${app.user}`,
    ledger,
  )
  const acl = ['mover on >mover-secret ~* &* +@all', 'app on >app-secret ~* &* +@all']
  const settings = { 'repl-backlog-size': '64mb' }
  const oldCache = opened.use(await startRedis({ acl, settings, own: true }))
  const newCache = opened.use(await startRedis({ acl, settings, own: true }))
  const databases = { [ledger]: { host: old.host, port: old.port, dbname: ledger } }
  const pgbouncer = opened.use(await startPgbouncer({ databases, users: { [app.user]: app.password } }))
  const sides = {
    old: { host: oldCache.host, port: oldCache.port },
    new: { host: newCache.host, port: newCache.port },
  }
  const haproxy = opened.use(await startHaproxy({ routes: { cache: { sides } } }))
  const rig = opened.use(
    await CliRig.create({
      estate: {
        estate: 'wallet',
        stores: {
          [ledger]: {
            source: { kind: 'postgresql', url: 'env:LEDGER_OLD' },
            target: { kind: 'postgresql', url: 'env:LEDGER_NEW' },
            switch: { pgbouncer: { admin: 'env:POOLER', database: ledger, config: pgbouncer.configFile } },
          },
          [cache]: {
            source: { kind: 'redis', url: 'env:CACHE_OLD' },
            target: { kind: 'redis', url: 'env:CACHE_NEW' },
            switch: { haproxy: { socket: haproxy.socketFile, backend: 'cache', old: ['old'], new: ['new'] } },
          },
        },
        waves: [{ name: 'payments', phase: 'rehost', moves: [ledger, cache], pauseBudget: '30s' }],
      },
      env: {
        LEDGER_OLD: old.url(ledger),
        LEDGER_NEW: fresh.url(ledger),
        POOLER: pgbouncer.adminUrl,
        CACHE_OLD: oldCache.url('mover', 'mover-secret'),
        CACHE_NEW: newCache.url('mover', 'mover-secret'),
      },
    }),
  )
  const address = haproxy.address('cache')
  const payer = opened.use(
    new MixedPayer({
      ledgerUrl: pgbouncer.url(ledger, app.user, app.password),
      cacheUrl: `redis://app:app-secret@${address.host}:${address.port}`,
      redis: oldCache,
    }),
  )
  const all = opened.move()
  return { rig, payer, fresh, newCache, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

test('a ledger and its keys go over, back and over again together, and nothing is lost in either', async () => {
  await using stage = await openStage()
  const { rig, payer, fresh, newCache } = stage
  await rig.worker()
  const perform = async (...args: string[]): Promise<Operation> => {
    const done = await rig.json(...args)
    expect([done.code, done.document.error ?? null], done.err).toEqual([0, null])
    return done.document
  }
  for (const move of [ledger, cache]) {
    const started = await rig.run('start', move, '--until', 'in-sync')
    expect(started.code, started.err).toBe(0)
  }
  const settled = (state: string) =>
    pollUntil(
      `both are ${state}, follow, and payments go on`,
      async () => {
        const before = payer.acknowledged.length
        const { moves } = await rig.client.status()
        const isThere = moves.every((move) => move.state === state && !move.paused && move.follow?.lagBytes === 0)
        if (!isThere) throw new Error(JSON.stringify(moves.map(({ name, state, paused }) => [name, state, paused])))
        return pollUntil('payments go on', () => payer.acknowledged.length > before + 2)
      },
      { withinMs: 120_000, everyMs: 100 },
    )
  await settled('in-sync')
  expect((await perform('rehearse', 'payments')).result).toMatchObject({ report: { passed: true } })
  await settled('in-sync')

  expect((await perform('cutover', '--wave', 'payments')).result).toMatchObject({ cutover: { outcome: 'committed' } })
  await settled('reversing')
  await perform('rollback', '--wave', 'payments')
  await settled('rolled-back')
  await perform('cutover', '--wave', 'payments')
  await settled('reversing')
  await perform('finalize', '--wave', 'payments')

  await payer[Symbol.asyncDispose]()
  const rows = await fresh.query<{ reference: string }>('SELECT reference FROM payments', ledger)
  const inLedger = new Set(rows.map(({ reference }) => reference))
  const keys = (await newCache.command('KEYS', 'paid:*')) as string[]
  const inCache = new Set(keys.map((key) => key.slice('paid:'.length)))
  expect(payer.acknowledged.length).toBeGreaterThan(10)
  expect(payer.acknowledged.filter((reference) => !inLedger.has(reference) || !inCache.has(reference))).toEqual([])
  expect(rows.length).toBe(inLedger.size)
}, 300_000)
