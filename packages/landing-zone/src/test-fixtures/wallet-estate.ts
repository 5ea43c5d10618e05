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

/** A synthesis takes seconds of processor time, and a shared machine may not give them at once. */
export const patienceMs = 300_000
