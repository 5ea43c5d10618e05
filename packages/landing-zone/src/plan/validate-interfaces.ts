/** What the register of interfaces cannot say unless the estate does. Nothing here stands in the way of building. */
import type { Finding } from '@replatform/core/finding'
import type { LandingZone } from '@replatform/core/landing-zone-estate'
import { findingOn } from './finding-on.ts'
import { partnerName } from './partners.ts'

/** What is said beside the register, which is where it is missed. */
export const interfaceFindingIds: readonly string[] = [
  'landing-zone.owner-missing',
  'landing-zone.partner-authentication-undeclared',
  'landing-zone.partner-encryption-undeclared',
  'landing-zone.callers-undeclared',
  'landing-zone.card-flow-undeclared',
]

export function interfaceFindings(landingZone: LandingZone): Finding[] {
  const partners = Object.entries(landingZone.services).flatMap(([name, { egress = [] }]) =>
    egress.map((partner) => ({ ...partner, called: `${name} → ${partnerName(partner)}:${partner.port}` })),
  )
  return [
    ...findingOn(withoutOwner(landingZone), {
      id: 'landing-zone.owner-missing',
      severity: 'risk',
      title: 'An interface has no owner: nobody answers for it.',
      remedy: 'Name a team or person as `owner`; it stands in `infra register` (PCI-DSS 4.0.1, 1.2.5 and 12.5.1).',
    }),
    ...findingOn(
      partners.filter(({ authentication }) => authentication === undefined).map(({ called }) => called),
      {
        id: 'landing-zone.partner-authentication-undeclared',
        severity: 'risk',
        title: 'Nothing says how a service and its partner prove who they are.',
        remedy: 'Write it as `authentication` of the egress: mutual TLS, signed requests, a token …',
      },
    ),
    ...findingOn(
      partners.filter(({ port, encryption }) => port !== 443 && encryption === undefined).map(({ called }) => called),
      {
        id: 'landing-zone.partner-encryption-undeclared',
        severity: 'risk',
        title: 'Nothing says how a connection to a partner is encrypted.',
        remedy:
          'Write it as `encryption` of the egress; what goes over public networks needs it (PCI-DSS 4.0.1, 4.2.1).',
      },
    ),
    ...findingOn(withoutCallers(landingZone), {
      id: 'landing-zone.callers-undeclared',
      severity: 'note',
      title: 'A public service does not say who calls it: the register knows only "internet".',
      remedy: 'Describe users, partners, vendors and banks as its `callers`, each with its authentication.',
    }),
    ...findingOn(withoutCardData(landingZone), {
      id: 'landing-zone.card-flow-undeclared',
      severity: 'note',
      title: 'Nothing says what of card numbers passes here: the data-flow diagram shows it as undeclared.',
      remedy: 'Write cardData: none, truncated, tokenised, field-encrypted or whole (PCI-DSS 4.0.1, 1.2.4).',
    }),
  ]
}

function withoutOwner({ services, stores, onPremises }: LandingZone): string[] {
  const named: readonly (readonly [string, { readonly owner?: string } | undefined])[] = [
    ...Object.entries(services).map(([name, service]) => [`service ${name}`, service] as const),
    ...Object.entries(stores).map(([name, store]) => [`store ${name}`, store] as const),
    ...Object.values(services).flatMap(({ egress = [], callers = [] }) => [
      ...egress.map((partner) => [`partner ${partnerName(partner)}`, partner] as const),
      ...callers.map((caller) => [`caller ${caller.name}`, caller] as const),
    ]),
    ['onPremises', onPremises],
    ['onPremises.people', onPremises?.people],
  ]
  return [...new Set(named.flatMap(([name, item]) => (item && item.owner === undefined ? [name] : [])))]
}

function withoutCallers({ services }: LandingZone): string[] {
  const open = Object.entries(services).filter(([, { from, callers = [] }]) => from.includes('internet') && !callers[0])
  return open.map(([name]) => name)
}

function withoutCardData({ services }: LandingZone): string[] {
  return Object.entries(services).flatMap(([name, { cardData, egress = [], callers = [] }]) => [
    ...(cardData === undefined ? [`service ${name}`] : []),
    ...egress.filter((partner) => partner.cardData === undefined).map((partner) => `${name} → ${partnerName(partner)}`),
    ...callers.filter((caller) => caller.cardData === undefined).map((caller) => `${caller.name} → ${name}`),
  ])
}
