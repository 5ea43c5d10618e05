import { expect, test } from 'vitest'
import type { Estate } from './estate.ts'
import { planWaves } from './wave-plan.ts'

function estateOf(stores: Readonly<Record<string, string | undefined>>, more: Partial<Estate> = {}): Estate {
  const side = (service?: string) => ({ kind: 'postgresql' as const, url: 'env:X', ...(service ? { service } : {}) })
  const entries = Object.entries(stores).map(([name, service]) => [name, { source: side(), target: side(service) }])
  return { estate: 'wallet', stores: Object.fromEntries(entries), ...more }
}

const joins = () => 'joins' as const

test('what one service connects to moves together, also by way of another service; the reason is told', () => {
  const services = {
    wallet: { stores: ['ledger', 'sessions'] },
    merchants: { stores: ['merchants', 'ledger'] },
    receipts: { stores: ['receipts'] },
  }
  const stores = { ledger: undefined, sessions: undefined, merchants: undefined, receipts: 'rds', archive: undefined }
  const plan = planWaves(estateOf(stores, { services }), joins)
  expect(plan.proposed.map(({ phase, moves }) => [phase, moves])).toEqual([
    ['rehost', ['ledger', 'sessions', 'merchants']],
    ['rehost', ['archive']],
    ['replatform', ['receipts']],
  ])
  expect(plan.proposed[0]).toMatchObject({
    services: ['wallet', 'merchants'],
    because: ['wallet connects to ledger and sessions', 'merchants connects to merchants and ledger'],
  })
  expect(plan).toMatchObject({ unclaimed: ['archive'], objections: [] })
})

test('waves that tear apart what a service shares are objected to; what trails is named', () => {
  const services = { wallet: { stores: ['ledger', 'search'] } }
  const waves = [{ name: 'first', phase: 'rehost' as const, moves: ['ledger'] }]
  const estate = estateOf({ ledger: undefined, search: undefined }, { services, waves })
  const plan = planWaves(estate, (move) => (move === 'search' ? 'trails' : 'joins'))
  expect(plan.objections).toEqual([
    'wallet connects to stores that do not cut over together: ledger in first, search in no wave',
  ])
  expect(plan.proposed).toMatchObject([{ moves: ['ledger', 'search'], trailing: ['search'] }])
})
