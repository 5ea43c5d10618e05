import type { LandingZone } from '@replatform/core/landing-zone-estate'
import { type Blueprint, type Phase, plan } from '../plan/blueprint.ts'

const reason = (text: string) => ({ reason: text })
const observed = (cpuCores: number, memoryGiB: number, storageGiB?: number) => ({
  days: 21,
  cpuCores,
  memoryGiB,
  ...(storageGiB ? { storageGiB } : {}),
})

/** A wallet company with every kind of store, as an architect would describe it. */
export const walletLandingZone: LandingZone = {
  region: 'ap-southeast-1',
  contact: 'platform@wallet.example',
  environments: {
    production: {
      kind: 'production',
      account: '111111111111',
      network: '10.20.0.0/16',
      domain: 'pay.wallet.example',
      monthlyBudgetUsd: 20_000,
    },
    staging: {
      kind: 'non-production',
      account: '222222222222',
      network: '10.21.0.0/16',
      domain: 'staging.wallet.example',
      monthlyBudgetUsd: 2_000,
      offHours: { stop: '20:00', start: '07:00', timeZone: 'Asia/Ho_Chi_Minh' },
    },
  },
  onPremises: {
    networks: ['10.0.0.0/16'],
    asn: 65_010,
    vpn: {
      peers: ['203.0.113.10', '203.0.113.11'],
      ...reason('Data moves and operators work over it until phase two ends.'),
    },
    people: {
      network: '10.99.0.0/22',
      samlProvider: 'arn:aws:iam::111111111111:saml-provider/company',
      ...reason('Operators administer machines from outside the office.'),
    },
  },
  services: {
    gateway: {
      port: 8443,
      health: '/health/ready',
      host: 'api.pay.wallet.example',
      from: ['internet', 'on-premises'],
      instances: { type: 'm7i.large', least: 3, most: 9 },
      scaleAtCpu: 60,
      calls: ['wallet', 'merchants'],
      ...reason('Customers and merchants pay through it.'),
    },
    wallet: {
      port: 8444,
      health: '/health/ready',
      from: ['services'],
      instances: { type: 'm7i.xlarge', least: 3, most: 6 },
      stores: ['ledger', 'sessions', 'events', 'search'],
      ...reason('Keeps the ledger.'),
    },
    merchants: {
      port: 8445,
      health: '/health/ready',
      from: ['services'],
      instances: { type: 'm7i.large', least: 2 },
      stores: ['merchants', 'profiles', 'receipts'],
      egress: [{ host: 'api.bank.example', port: 443, ...reason('Settlement is ordered from the bank.') }],
      ...reason('Onboards merchants and settles.'),
    },
  },
  stores: {
    ledger: {
      engine: 'postgresql',
      becomes: 'rds',
      cardData: 'tokenised',
      observed: observed(3, 24, 400),
      ...reason('The ledger.'),
    },
    merchants: {
      engine: 'mariadb',
      becomes: 'rds',
      cardData: 'none',
      observed: observed(1, 6, 80),
      ...reason('Merchants and settlement.'),
    },
    sessions: {
      engine: 'redis',
      becomes: 'elasticache',
      cardData: 'none',
      observed: observed(1, 5),
      ...reason('Sessions and limits.'),
    },
    profiles: {
      engine: 'mongodb',
      becomes: 'documentdb',
      cardData: 'none',
      observed: observed(1, 9, 60),
      ...reason('Customer documents.'),
    },
    events: {
      engine: 'rabbitmq',
      becomes: 'amazon-mq-activemq',
      cardData: 'truncated',
      observed: observed(1, 3, 20),
      ...reason('Events of payments.'),
    },
    search: {
      engine: 'elasticsearch',
      becomes: 'opensearch',
      cardData: 'truncated',
      observed: observed(2, 10, 120),
      ...reason('Search in payments.'),
    },
    receipts: {
      engine: 'files',
      becomes: 's3',
      cardData: 'truncated',
      observed: observed(0.1, 0.5, 300),
      ...reason('Receipts.'),
    },
  },
}

/** Throws where the description has a blocker. */
export function walletBlueprint(
  environment: 'production' | 'staging' = 'production',
  phase: Phase = 'replatform',
  change: (landingZone: LandingZone) => LandingZone = (landingZone) => landingZone,
): Blueprint {
  const { blueprint, findings } = plan({ estate: 'wallet', landingZone: change(walletLandingZone), environment, phase })
  if (blueprint) return blueprint
  throw new Error(
    findings
      .filter(({ severity }) => severity === 'blocker')
      .map(({ id }) => id)
      .join(', '),
  )
}
