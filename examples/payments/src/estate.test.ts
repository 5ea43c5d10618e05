/**
 * Goal: the whole platform works together: every service as a process of its own, behind the gateway, under load, ends
 * with a clean verdict in every store.
 */
import { expect, test } from 'vitest'
import { startPlatform } from './stage/platform.ts'

test('a load on everything ends with a clean verdict everywhere', async () => {
  await using platform = await startPlatform({ accounts: 100, history: 500 })
  const summary = await platform.load({ rate: 60, seconds: 4, seed: 1, findWithinMs: 60_000 })
  expect(summary.differing).toBe(0)
  expect(Object.keys(summary.services)).toEqual(['wallet', 'sessions', 'merchants', 'profiles', 'search'])
  for (const operations of Object.values(summary.services)) {
    for (const figures of Object.values(operations)) expect(figures).toMatchObject({ unknown: 0 })
  }
  await platform.settle()
  const verdicts = await platform.judge()
  expect(Object.fromEntries(verdicts.map(({ store, verdict }) => [store, verdict]))).toEqual({
    ledger: 'clean',
    sessions: 'clean',
    events: 'clean',
    merchants: 'clean',
    profiles: 'clean',
    search: 'clean',
    receipts: 'clean',
  })
}, 180_000)
