/** Whom services call outside, as firewalls, security groups and proofs need it. */
import type { LandingEgress } from '@replatform/core/landing-zone-estate'
import type { Blueprint } from './blueprint.ts'

export interface AddressPartner {
  readonly ranges: readonly string[]
  readonly port: number
  readonly reason: string
}

/** What people call it by: its name, else its addresses. */
export function partnerName({ host, addresses = [] }: Pick<LandingEgress, 'host' | 'addresses'>): string {
  return host ?? addresses.join(', ')
}

/** Names, each once; a partner that gives addresses as well is known by them. */
export function namedPartners({ services }: Pick<Blueprint, 'services'>): string[] {
  const named = services.flatMap(({ egress = [] }) =>
    egress.flatMap(({ host, addresses }) => (addresses ? [] : (host ?? []))),
  )
  return [...new Set(named)]
}

/** Those whose addresses are fixed: a rule can hold them to these. */
export function addressPartners({ services }: Pick<Blueprint, 'services'>): AddressPartner[] {
  return services.flatMap(({ egress = [] }) =>
    egress.flatMap(({ addresses, port, reason }) => (addresses ? [{ ranges: addresses, port, reason }] : [])),
  )
}
