/** Every interface of an environment in one list: who comes in where, whose it is, how that is protected, and why. */
import type { LandingEgress } from '@replatform/core/landing-zone-estate'
import type { Blueprint, PlannedService } from '../plan/blueprint.ts'
import { type Flow, flowsOf } from '../plan/flows.ts'
import { partnerName } from '../plan/partners.ts'
import { ofIncidents, ofParty, ofPeople, ofStore, ofTunnel, type Protection } from './protections.ts'

/** `internal`: between parts of the estate. */
export type InterfaceKind = 'users' | 'partner' | 'vendor' | 'bank' | 'operations' | 'old-site' | 'internal'

export interface Interface extends Protection {
  /** `balancer:gateway`, `store:ledger`, `partner:api.bank.example` … */
  readonly at: string
  readonly port: number
  readonly kind: InterfaceKind
  readonly from: readonly string[]
  /** Null where the estate names nobody. */
  readonly owner: string | null
  /** What of card numbers passes or stands there; `undeclared` where nobody says. */
  readonly cardData: string
  readonly reasons: readonly string[]
  readonly alarm: string
}

/** By place and port; callers and partners by name. What nobody may reach has no row. */
export function registerOf(blueprint: Blueprint): Interface[] {
  const ours = flowsOf(blueprint).filter(
    ({ from, to }) => to !== 'partners' && !to.startsWith('partner:') && !isByCallers(from, to, blueprint),
  )
  const byPlace = Map.groupBy(ours, ({ to, port }) => `${to} ${port}`)
  return [
    ...[...byPlace.values()].map((flows) => interfaceOf(flows, blueprint)),
    ...blueprint.services.flatMap((service) => callersOf(service, blueprint)),
    ...partnersOf(blueprint),
    ...operationsOf(blueprint),
  ].toSorted((a, b) => a.at.localeCompare(b.at) || a.port - b.port || (a.from[0] ?? '').localeCompare(b.from[0] ?? ''))
}

/** The row "internet" gives way to a row for each caller that the estate names. */
function isByCallers(from: string, to: string, { services }: Blueprint): boolean {
  return from === 'internet' && services.some(({ name, callers }) => to === `balancer:${name}` && callers?.length)
}

function interfaceOf(flows: readonly Flow[], blueprint: Blueprint): Interface {
  const { to, port } = flows[0] as Flow
  const [kind = to, name] = to.split(':')
  const store = blueprint.stores.find((one) => to === `store:${one.name}`)
  const service = blueprint.services.find((one) => one.name === name)
  const isWatched = store !== undefined || kind === 'balancer'
  return {
    at: to,
    port,
    kind: kindOf(flows, to),
    from: flows.map(({ from }) => from),
    owner: (store ?? service)?.owner ?? standingOwner(to, blueprint),
    ...(store ? ofStore[store.form] : (ofParty[kind] ?? unknown)),
    cardData: store?.cardData ?? service?.cardData ?? standingCardData[kind] ?? 'undeclared',
    reasons: flows.map(({ reason }) => reason),
    alarm: isWatched ? `dashboard and alarms of ${name}, to ${blueprint.contact}` : 'audit trail and flow logs',
  }
}

const unknown: Protection = { authentication: 'not ours', encryption: 'not ours' }

const standingCardData: Readonly<Record<string, string>> = {
  'endpoints': 'none',
  'objects': 'as its buckets',
  'on-premises': 'as its stores',
}

function kindOf(flows: readonly Flow[], to: string): InterfaceKind {
  if (flows.some(({ from }) => from === 'internet')) return 'users'
  if (to === 'on-premises') return 'old-site'
  return flows.every(({ from }) => from === 'people') ? 'operations' : 'internal'
}

function standingOwner(to: string, { onPremises, contact }: Blueprint): string | null {
  if (to === 'on-premises') return onPremises?.owner ?? null
  return to === 'endpoints' || to === 'objects' ? contact : null
}

function callersOf({ name, callers = [], from }: PlannedService, { contact }: Blueprint): Interface[] {
  if (!from.includes('internet')) return []
  return callers.map((caller) => ({
    at: `balancer:${name}`,
    port: 443,
    kind: caller.kind,
    from: [caller.name],
    owner: caller.owner ?? null,
    authentication: caller.authentication,
    encryption: (ofParty.balancer as Protection).encryption,
    cardData: caller.cardData ?? 'undeclared',
    reasons: [caller.reason],
    alarm: `dashboard, canary and alarms of ${name}, to ${contact}`,
  }))
}

/** One row for a partner, whoever calls it. */
function partnersOf({ services, contact }: Blueprint): Interface[] {
  const calls = services.flatMap(({ name, egress = [] }) => egress.map((partner) => ({ name, partner })))
  const byPartner = Map.groupBy(calls, ({ partner }) => `${partnerName(partner)} ${partner.port}`)
  return [...byPartner.values()].map((same) => {
    const partner = (same[0] as (typeof same)[number]).partner
    return {
      at: `partner:${partnerName(partner)}`,
      port: partner.port,
      kind: partner.kind ?? 'partner',
      from: same.map(({ name }) => `service:${name}`),
      owner: partner.owner ?? null,
      authentication: partner.authentication ?? 'undeclared',
      encryption: encryptionOf(partner),
      cardData: partner.cardData ?? 'undeclared',
      reasons: same.map((one) => one.partner.reason),
      alarm: `names beyond the list, unusual traffic outwards, to ${contact}`,
    }
  })
}

export function encryptionOf({ port, encryption }: LandingEgress): string {
  return encryption ?? (port === 443 ? 'TLS, by the service' : 'undeclared')
}

/** The doors that are no flow between parties: tunnels, the client VPN, and where alarms leave. */
function operationsOf({ onPremises, contact }: Blueprint): Interface[] {
  const people = onPremises?.people
  const doors: (Interface | null | undefined)[] = [
    onPremises && {
      at: 'tunnels',
      port: 4500,
      kind: 'old-site',
      from: [`on-premises (${onPremises.vpn.peers.join(', ')})`],
      owner: onPremises.owner ?? null,
      ...ofTunnel,
      cardData: 'as the flows inside',
      reasons: [onPremises.vpn.reason],
      alarm: `a tunnel is down, to ${contact}`,
    },
    people && {
      at: 'client-vpn',
      port: 443,
      kind: 'operations',
      from: ['people'],
      owner: people.owner ?? null,
      ...ofPeople,
      cardData: 'none',
      reasons: [people.reason],
      alarm: `refused sign-ins, to ${contact}`,
    },
    {
      at: 'incidents',
      port: 443,
      kind: 'operations',
      from: ['alarms of the account'],
      owner: contact,
      ...ofIncidents,
      cardData: 'none',
      reasons: ['Alarms, budgets and findings of detectors reach a person.'],
      alarm: 'is itself the alarm; `infra prove` tries it',
    },
  ]
  return doors.filter((door) => door != null)
}
