import { readFileSync } from 'node:fs'
import type { Estate } from '@replatform/core/estate'
import { parseEstate } from '@replatform/core/estate-parser'
import type { LandingZone } from '@replatform/core/landing-zone-estate'
import { type Blueprint, type Phase, plan } from '../plan/blueprint.ts'

const file = new URL('../../../../examples/landing-zone/estate.yaml', import.meta.url)

/** The example that users start from: a wallet company with every kind of store. */
export const walletEstate: Estate = parseEstate(readFileSync(file, 'utf8'), 'estate.yaml')
export const walletLandingZone = walletEstate.landingZone as LandingZone

export interface WalletOptions {
  readonly environment?: string
  readonly phase?: Phase
  readonly change?: (landingZone: LandingZone) => LandingZone
}

/** Throws where the description has a blocker. */
export function walletBlueprint(options: WalletOptions = {}): Blueprint {
  const { environment = 'production', phase = 'replatform', change = (same) => same } = options
  const { blueprint, findings } = plan({ estate: 'wallet', landingZone: change(walletLandingZone), environment, phase })
  if (blueprint) return blueprint
  const blockers = findings.filter(({ severity }) => severity === 'blocker')
  throw new Error(blockers.map(({ id }) => id).join(', '))
}

const observed = { days: 30, cpuCores: 1, memoryGiB: 4, storageGiB: 50, iops: 20_000 }
const directory = {
  domain: 'corp.wallet.example',
  dns: ['10.0.0.10'],
  secret: 'arn:aws:secretsmanager:ap-southeast-1:111111111111:secret:join',
}

/** Every form that a store can have, at once. */
export function everyForm(options: WalletOptions = {}): Blueprint {
  const file = { engine: 'files', cardData: 'none', observed } as const
  const relational = { becomes: 'rds', cardData: 'none', observed } as const
  return walletBlueprint({
    phase: 'transition',
    ...options,
    change: (zone) => ({
      ...guarded(zone),
      stores: {
        ...zone.stores,
        queues: {
          engine: 'rabbitmq',
          becomes: 'amazon-mq-rabbitmq',
          cardData: 'none',
          observed,
          reason: 'Queues as they are.',
        },
        shared: { ...file, becomes: 'efs', reason: 'Files that machines mount.' },
        office: { ...file, becomes: 'fsx', directory, reason: 'Files of the office.' },
        books: { ...relational, engine: 'mysql', availability: 'cluster', reason: 'Bookkeeping.' },
        rates: { ...relational, engine: 'mysql', reason: 'Rates of currencies.' },
      },
    }),
  })
}

/** With a firewall, and a partner that is known by its address. */
export function guarded(zone: LandingZone): LandingZone {
  const merchants = zone.services.merchants as LandingZone['services'][string]
  const clearing = { addresses: ['198.51.100.0/28'], port: 22, reason: 'Files of settlement are fetched there.' }
  return {
    ...zone,
    extras: { ...zone.extras, firewall: 'The acquirer asks that outgoing calls are inspected.' },
    services: { ...zone.services, merchants: { ...merchants, egress: [...(merchants.egress ?? []), clearing] } },
  }
}

/** A synthesis takes seconds of processor time, and a shared machine may not give them at once. */
export const patienceMs = 300_000
