import type { LandingService, LandingZone } from '@replatform/core/landing-zone-estate'
import { expect, test } from 'vitest'
import { flowsOf } from '../plan/flows.ts'
import { interfaceFindings } from '../plan/validate-interfaces.ts'
import { walletBlueprint, walletLandingZone } from '../test-fixtures/wallet-estate.ts'
import { registerOf } from './register.ts'

const blueprint = walletBlueprint({ phase: 'transition' })
const register = registerOf(blueprint)

/** Goal: nobody comes in or goes out beside the register. Callers and partners stand there by name instead. */
test('every flow stands in the register, with its reason', () => {
  const rows = register.flatMap(({ at, port, from, reasons }) =>
    from.map((one, index) => `${one} → ${at}:${port} ${reasons[index]}`),
  )
  const flows = flowsOf(blueprint)
    .filter(({ from, to }) => from !== 'internet' && to !== 'partners')
    .map(({ from, to, port, reason }) => `${from} → ${to}:${port} ${reason}`)
  expect(flows.filter((flow) => !rows.includes(flow))).toEqual([])
  expect(new Set(rows.filter((row) => !flows.includes(row)))).toEqual(
    new Set([
      'alarms of the account → incidents:443 Alarms, budgets and findings of detectors reach a person.',
      'bank → balancer:gateway:443 The bank tells that a settlement has arrived.',
      'customers → balancer:gateway:443 Customers pay and look at their payments.',
      'on-premises (203.0.113.10, 203.0.113.11) → tunnels:4500 Data moves and operators work over it until the second phase ends.',
      'people → client-vpn:443 Operators administer machines from outside the office.',
      'service:merchants → partner:api.bank.example:443 Settlement is ordered from the bank.',
      'service:merchants → partner:screening.vendor.example:443 New merchants are screened against lists.',
      'shops → balancer:gateway:443 Shops of merchants order payments and refunds.',
    ]),
  )
})

test('users, partners, vendors, banks, operations and the old site are all there', () => {
  expect(new Set(register.map(({ kind }) => kind))).toEqual(
    new Set(['users', 'partner', 'vendor', 'bank', 'operations', 'old-site', 'internal']),
  )
})

test('every interface of the example says whose it is and how it is protected', () => {
  const silent = register.filter(({ owner, authentication, encryption, cardData, alarm }) =>
    [owner, authentication, encryption, cardData, alarm].some((value) => !value || value === 'undeclared'),
  )
  expect(silent.map(({ at }) => at)).toEqual([])
})

test('a store says how it is protected and what it holds', () => {
  expect(register.find(({ at }) => at === 'store:ledger')).toMatchObject({
    port: 6432,
    owner: 'ledger team',
    from: ['service:wallet', 'migration'],
    encryption: 'TLS required; disk under own key',
    cardData: 'tokenised',
  })
})

test('a store that does not say what it holds is shown as undeclared', () => {
  const silent = walletBlueprint({
    change: (zone) => {
      const { cardData: _, ...ledger } = zone.stores.ledger as NonNullable<typeof zone.stores.ledger>
      return { ...zone, stores: { ...zone.stores, ledger } }
    },
  })
  expect(registerOf(silent).find(({ at }) => at === 'store:ledger')?.cardData).toBe('undeclared')
})

const withService = (name: string, change: (service: LandingService) => LandingService): LandingZone => ({
  ...walletLandingZone,
  services: { ...walletLandingZone.services, [name]: change(walletLandingZone.services[name] as LandingService) },
})
const settlement = { host: 'api.bank.example', port: 8443, reason: 'Settlement is ordered from the bank.' }

test.each([
  ['landing-zone.owner-missing', withService('gateway', ({ owner: _, ...service }) => service), 'service gateway'],
  ['landing-zone.callers-undeclared', withService('gateway', ({ callers: _, ...service }) => service), 'gateway'],
  [
    'landing-zone.card-flow-undeclared',
    withService('wallet', ({ cardData: _, ...service }) => service),
    'service wallet',
  ],
  [
    'landing-zone.partner-authentication-undeclared',
    withService('merchants', (service) => ({ ...service, egress: [settlement] })),
    'merchants → api.bank.example:8443',
  ],
  [
    'landing-zone.partner-encryption-undeclared',
    withService('merchants', (service) => ({ ...service, egress: [settlement] })),
    'merchants → api.bank.example:8443',
  ],
])('%s', (id, zone, evidence) => {
  expect(interfaceFindings(walletLandingZone)).toEqual([])
  expect(interfaceFindings(zone).find((finding) => finding.id === id)?.evidence).toEqual([evidence])
})
