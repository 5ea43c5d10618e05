/**
 * Goal: the whole platform works together, and goes on when every store was away. Method: every service as a process of
 * its own, behind the gateway, under load; then all stores are restarted at once, and customers come again.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Platform, startPlatform } from './stage/platform.ts'

// Fresh within whatever time a busy machine needs: how soon is for `npm run load` to say.
const load = { rate: 60, findWithinMs: 60_000 }
let platform: Platform

beforeAll(async () => {
  platform = await startPlatform({ accounts: 100, history: 500 })
}, 300_000)
afterAll(async () => await platform[Symbol.asyncDispose](), 60_000)

async function expectClean(): Promise<void> {
  const verdicts = await platform.judge()
  const notClean = verdicts.filter(({ verdict }) => verdict !== 'clean')
  expect(notClean).toEqual([])
  const stores = ['ledger', 'sessions', 'events', 'merchants', 'profiles', 'search', 'receipts']
  expect(verdicts.map(({ store }) => store)).toEqual(stores)
}

test('a load on everything ends with a clean verdict everywhere', async () => {
  const summary = await platform.load({ ...load, seconds: 4, seed: 1 })
  expect(summary.differing).toBe(0)
  expect(Object.keys(summary.services)).toEqual(['wallet', 'sessions', 'merchants', 'profiles', 'search'])
  for (const operations of Object.values(summary.services)) {
    for (const figures of Object.values(operations)) expect(figures).toMatchObject({ unknown: 0 })
  }
  await platform.settle()
  await expectClean()
}, 300_000)

test('every service lives while its store is away, is ready when it is back, and goes on', async () => {
  const restarting = platform.stores.restart()
  const states = await Promise.all(Object.values(platform.urls).map((url) => fetch(`${url}/health/live`)))
  expect(states.map(({ status }) => status)).toEqual(states.map(() => 200))
  await restarting
  for (const [service, url] of Object.entries(platform.urls)) {
    const status = async (): Promise<number> => (await fetch(`${url}/health/ready`)).status
    await expect.poll(status, { timeout: 60_000, interval: 200, message: service }).toBe(200)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain(`# TYPE ${service}_answer_seconds histogram`)
  }
  await platform.load({ ...load, seconds: 2, seed: 2 })
  await platform.settle()
  await expectClean()
}, 300_000)
