import type {
  LandingEnvironment,
  LandingService,
  LandingStore,
  LandingZone,
} from '@replatform/core/landing-zone-estate'
import { describe, expect, test } from 'vitest'
import { walletLandingZone } from '../test-fixtures/wallet-estate.ts'
import { plan } from './blueprint.ts'

/** Goal: what contradicts itself or AWS is told before anything is built. Method: the example, spoilt in one place. */
type Spoil = (zone: LandingZone) => LandingZone

const environment =
  (change: Partial<LandingEnvironment>): Spoil =>
  (zone) => ({
    ...zone,
    environments: {
      ...zone.environments,
      production: { ...(zone.environments.production as LandingEnvironment), ...change },
    },
  })
const store =
  (name: string, change: Partial<LandingStore>): Spoil =>
  (zone) => ({ ...zone, stores: { ...zone.stores, [name]: { ...(zone.stores[name] as LandingStore), ...change } } })
const service =
  (name: string, change: Partial<LandingService>): Spoil =>
  (zone) => ({
    ...zone,
    services: { ...zone.services, [name]: { ...(zone.services[name] as LandingService), ...change } },
  })
const egress = (partner: NonNullable<LandingService['egress']>[number]): Spoil =>
  service('merchants', { egress: [partner] })
const withFirewall: Spoil = (zone) => ({ ...zone, extras: { ...zone.extras, firewall: 'A partner asks for it.' } })
const line =
  (change: object): Spoil =>
  (zone) => ({
    ...zone,
    onPremises: {
      ...(zone.onPremises as NonNullable<LandingZone['onPremises']>),
      directConnect: {
        connection: 'dedicated',
        bandwidth: '1Gbps',
        location: 'EqSG2',
        vlan: 100,
        reason: 'Full loads fit into a night.',
        ...change,
      },
    },
  })

const reason = 'Old links still point there.'
const blockers: readonly (readonly [string, Spoil])[] = [
  ['landing-zone.route-unclear', service('gateway', { routes: [{ to: 'merchants', reason }] })],
  [
    'landing-zone.route-unclear',
    service('gateway', { routes: [{ paths: ['/a'], to: 'merchants', deny: 403, reason }] }),
  ],
  [
    'landing-zone.route-too-large',
    service('gateway', { routes: [{ paths: ['/a', '/b', '/c'], methods: ['GET', 'PUT', 'POST'], deny: 403, reason }] }),
  ],
  [
    'landing-zone.route-without-http',
    service('wallet', { protocol: 'tcp', routes: [{ paths: ['/a'], deny: 403, reason }] }),
  ],
  ['landing-zone.route-without-http', service('wallet', { filter: { deny: ['203.0.113.0/24'], reason } })],
  ['landing-zone.range-invalid', service('gateway', { filter: { deny: ['203.0.113.1/24'], reason } })],
  ['landing-zone.unknown-name', service('gateway', { routes: [{ paths: ['/a'], to: 'nobody', reason }] })],
  ['landing-zone.ranges-overlap', environment({ network: '10.21.0.0/16' })],
  ['landing-zone.ranges-overlap', environment({ network: '10.0.0.0/16' })],
  ['landing-zone.range-invalid', environment({ network: '10.20.1.0/16' })],
  ['landing-zone.range-size', environment({ network: '10.20.0.0/24' })],
  ['landing-zone.too-few-zones', (zone) => ({ ...zone, region: 'us-west-1' })],
  ['landing-zone.service-not-in-region', (zone) => ({ ...zone, region: 'us-west-1' })],
  ['landing-zone.production-off-hours', environment({ offHours: { stop: '20:00', start: '07:00', timeZone: 'UTC' } })],
  ['landing-zone.no-equivalent', store('ledger', { becomes: 'documentdb' })],
  ['landing-zone.cluster-without-engine', store('merchants', { availability: 'cluster' })],
  ['landing-zone.availability-unknown', store('sessions', { availability: 'standby' })],
  ['landing-zone.larger-than-any-class', store('ledger', { observed: { days: 30, cpuCores: 400, memoryGiB: 4_000 } })],
  ['landing-zone.share-without-directory', store('receipts', { becomes: 'fsx' })],
  ['landing-zone.unknown-name', service('wallet', { stores: ['legder'] })],
  ['landing-zone.stateful-scaling', service('gateway', { stateful: true })],
  ['landing-zone.macsec-unavailable', line({ connection: 'hosted', bandwidth: '500Mbps', macsec: true })],
  ['landing-zone.s3-list-unknown', (zone) => ({ ...zone, region: 'ap-southeast-7' })],
  ['landing-zone.egress-nowhere', egress({ port: 443, reason: 'Nobody knows whom.' })],
  ['landing-zone.egress-range', egress({ addresses: ['10.0.3.0/24'], port: 443, reason: 'Inside the old site.' })],
  ['landing-zone.egress-range', egress({ addresses: ['0.0.0.0/1'], port: 443, reason: 'Half of the internet.' })],
  ['landing-zone.firewall-idle', (zone) => withFirewall(service('merchants', { egress: [] })(zone))],
  ['landing-zone.bandwidth-unavailable', line({ bandwidth: '500Mbps' })],
]

describe('a blocker leaves nothing to build', () => {
  test.each(blockers)('%s', (id, spoil) => {
    const { blueprint, findings } = planOf(spoil(walletLandingZone))
    expect(findings.filter(({ severity }) => severity === 'blocker').map((finding) => finding.id)).toContain(id)
    expect(blueprint).toBeNull()
  })

  test('standby search needs three zones', () => {
    const spoilt = store('search', { availability: 'standby' })(environment({ zones: 2 })(walletLandingZone))
    expect(idsOf(planOf(spoilt))).toContain('landing-zone.standby-needs-three-zones')
  })

  test('an environment that nobody described', () => {
    const { blueprint, findings } = plan({
      estate: 'wallet',
      landingZone: walletLandingZone,
      environment: 'prod',
      phase: 'rehost',
    })
    expect({ blueprint, ids: findings.map(({ id }) => id) }).toEqual({
      blueprint: null,
      ids: ['landing-zone.unknown-environment'],
    })
  })
})

describe('a risk is told and does not stand in the way', () => {
  const risks: readonly (readonly [string, Spoil])[] = [
    ['landing-zone.region-unknown', (zone) => ({ ...zone, region: 'ap-southeast-7', s3PrefixList: 'pl-0123abcd' })],
    [
      'landing-zone.firewall-name-unseen',
      (zone) => withFirewall(egress({ host: 'sftp.bank.example', port: 22, reason: 'Files of settlement.' })(zone)),
    ],
    ['landing-zone.account-shared', environment({ account: '222222222222' })],
    [
      'landing-zone.directory-way-not-open',
      store('receipts', {
        becomes: 'fsx',
        directory: {
          domain: 'corp.example',
          dns: ['10.0.0.10'],
          secret: 'arn:aws:secretsmanager:eu-west-1:1:secret:a',
        },
      }),
    ],
    ['landing-zone.sizing-not-firm', store('ledger', { observed: { days: 3, cpuCores: 1, memoryGiB: 4 } })],
  ]
  test.each(risks)('%s', (id, spoil) => {
    const { blueprint, findings } = planOf(spoil(walletLandingZone))
    expect(findings.find((finding) => finding.id === id)?.severity).toBe('risk')
    expect(blueprint).not.toBeNull()
  })
})

/** Goal: what an engine does not offer is told, never left out in silence. */
test.each([
  ['landing-zone.secret-not-rotated', ['events', 'search', 'sessions']],
  ['landing-zone.no-deletion-protection', ['events', 'receipts', 'search', 'sessions']],
  ['landing-zone.no-locked-backup', ['events', 'search', 'sessions']],
  ['landing-zone.logins-unwatched', ['events']],
])('%s names the stores that it is about', (id, names) => {
  const found = planOf(walletLandingZone).findings.find((finding) => finding.id === id)
  expect(found?.severity).toBe('note')
  expect(found?.evidence.map((text) => text.split(':')[0]).toSorted()).toEqual(names)
})

test('a MySQL cluster has no audit log, and that is told', () => {
  const spoilt = store('merchants', { engine: 'mysql', availability: 'cluster' })(walletLandingZone)
  expect(idsOf(planOf(spoilt))).toContain('landing-zone.cluster-without-audit')
})

test('two zones with a virtual private gateway are a valid answer for a small estate', () => {
  const { blueprint } = planOf(environment({ zones: 2 })(walletLandingZone))
  expect(blueprint?.zones).toHaveLength(2)
})

function planOf(landingZone: LandingZone) {
  return plan({ estate: 'wallet', landingZone, environment: 'production', phase: 'replatform' })
}

function idsOf({ findings }: ReturnType<typeof planOf>): string[] {
  return findings.map(({ id }) => id)
}
