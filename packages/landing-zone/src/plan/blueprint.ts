/**
 * What one environment consists of in one phase, before any resource is thought of: pure data, resolved from the
 * estate's description, with every default filled in. Stacks, diagrams, prices and proofs all start from here.
 */
import type { Finding } from '@replatform/core/finding'
import type {
  LandingEnvironment,
  LandingService,
  LandingStore,
  LandingZone,
  OnPremises,
} from '@replatform/core/landing-zone-estate'
import { formatCidr, parseCidr, part } from './cidr.ts'
import { regionFacts, zonesOf } from './region-facts.ts'
import { diskGiB, type Sizing, sizeOf } from './sizing.ts'
import { validate } from './validate.ts'

/**
 * `rehost`: servers on EC2 and relational databases on RDS. `transition`: managed services beside the machines that
 * they take over from, while moves run. `replatform`: the machines are gone. `finalized`: what moved the data is gone too.
 */
export const phases = ['rehost', 'transition', 'replatform', 'finalized'] as const
export type Phase = (typeof phases)[number]
/** `nat` and `firewall` exist only where something calls out, the latter only where it was asked for. */
export type Tier = 'public' | 'app' | 'data' | 'nat' | 'firewall'

export interface Subnet {
  readonly tier: Tier
  readonly zone: string
  readonly cidr: string
}

export interface PlannedService extends LandingService {
  readonly name: string
  readonly most: number
  readonly least: number
}

/** A store in the form that it has in this phase. */
export interface PlannedStore extends LandingStore {
  readonly name: string
  /** `ec2`: a machine that was rehosted, until the second phase. */
  readonly form: LandingStore['becomes'] | 'ec2'
  readonly port: number
  readonly size: Sizing | null
  readonly diskGiB: number
}

export interface Blueprint {
  readonly estate: string
  readonly environment: string
  readonly phase: Phase
  readonly region: string
  readonly contact: string
  readonly settings: LandingEnvironment
  readonly isProduction: boolean
  /** Whether what exists once in an account (trail, detectors) is this environment's to build. */
  readonly ownsAccount: boolean
  readonly zones: readonly string[]
  readonly subnets: readonly Subnet[]
  /** Zones with a way out; none where no service calls out. */
  readonly natZones: readonly string[]
  /** Where what goes out is looked at: as many as there are ways out, or none. */
  readonly firewallZones: readonly string[]
  readonly services: readonly PlannedService[]
  readonly stores: readonly PlannedStore[]
  readonly onPremises: OnPremises | null
  readonly extras: NonNullable<LandingZone['extras']>
  /** The id of the list of S3's addresses in the region. */
  readonly s3PrefixList: string
}

export interface Planned {
  /** Null where a blocker stands among the findings. */
  readonly blueprint: Blueprint | null
  readonly findings: readonly Finding[]
}

export interface BlueprintOptions {
  readonly estate: string
  readonly landingZone: LandingZone
  readonly environment: string
  readonly phase: Phase
}

/** Resolves one environment. Nothing of it exists unless every blocker is gone. */
export function plan(options: BlueprintOptions): Planned {
  const findings = validate(options)
  const isBlocked = findings.some(({ severity }) => severity === 'blocker')
  return { blueprint: isBlocked ? null : blueprintOf(options), findings }
}

function blueprintOf({ estate, landingZone, environment, phase }: BlueprintOptions): Blueprint {
  const { region, contact, onPremises = null, extras = {} } = landingZone
  const settings = landingZone.environments[environment] as LandingEnvironment
  const isProduction = settings.kind === 'production'
  const zones = zonesOf(region, zoneCount(settings))
  const callsOut = Object.values(landingZone.services).some(({ egress = [] }) => egress.length > 0)
  const isOneNat = (settings.nat ?? (isProduction ? 'per-zone' : 'one')) === 'one'
  const natZones = callsOut ? zones.slice(0, isOneNat ? 1 : undefined) : []
  const firewallZones = extras.firewall ? natZones : []
  const named = <Item>(items: Readonly<Record<string, Item>>) => Object.entries(items)
  return {
    estate,
    environment,
    phase,
    region,
    contact,
    settings,
    isProduction,
    ownsAccount: ownerOf(landingZone, settings.account) === environment,
    zones,
    subnets: subnetsOf(settings.network, {
      public: zones,
      app: zones,
      data: zones,
      nat: natZones,
      firewall: firewallZones,
    }),
    natZones,
    firewallZones,
    services: named(landingZone.services).map(([name, service]) =>
      plannedService(name, inDomain(service, landingZone, settings), isProduction),
    ),
    stores: named(landingZone.stores).flatMap(([name, store]) => formsOf({ name, store, phase, isProduction })),
    onPremises,
    extras,
    s3PrefixList: landingZone.s3PrefixList ?? regionFacts[region]?.s3PrefixList ?? '',
  }
}

/** Of environments in one account the first owns it, production before others. */
function ownerOf({ environments }: LandingZone, account: string): string | undefined {
  const inside = Object.entries(environments).filter(([, settings]) => settings.account === account)
  const production = inside.find(([, { kind }]) => kind === 'production')
  return (production ?? inside[0])?.[0]
}

/** Production loses no payment with a zone: three. Elsewhere two are enough to find what breaks between zones. */
export function zoneCount({ kind, zones }: LandingEnvironment): number {
  return zones ?? (kind === 'production' ? 3 : 2)
}

/**
 * A quarter of the range for each of public, app and data, divided among four zones, so that a third zone never moves an
 * address. NAT and firewall stand in sixteenths of the last quarter (at least a /28, which is all that they need), so
 * that a firewall that is asked for later moves nothing either: NAT keeps the addresses that partners know.
 */
function subnetsOf(network: string, zonesOfTier: Readonly<Record<Tier, readonly string[]>>): Subnet[] {
  const whole = parseCidr(network)
  if (!whole) return []
  return tiers.flatMap(({ tier, bits, first }) =>
    zonesOfTier[tier].flatMap((zone, zoneIndex) => {
      const range = part(whole, whole.prefix + bits, first + zoneIndex)
      return range ? [{ tier, zone, cidr: formatCidr(range) }] : []
    }),
  )
}

/** How many bits longer than the network's its prefixes are, and which of these ranges is the first zone's. */
const tiers: readonly { readonly tier: Tier; readonly bits: number; readonly first: number }[] = [
  { tier: 'public', bits: 4, first: 0 },
  { tier: 'app', bits: 4, first: 4 },
  { tier: 'data', bits: 4, first: 8 },
  { tier: 'nat', bits: 6, first: 48 },
  { tier: 'firewall', bits: 6, first: 52 },
]

/** Names are described once, under production's domain: elsewhere the same label stands under that environment's. */
function inDomain(
  service: LandingService,
  { environments }: LandingZone,
  { domain }: LandingEnvironment,
): LandingService {
  const domains = Object.values(environments)
    .map((one) => one.domain)
    .toSorted((a, b) => b.length - a.length)
  const moved = (host: string) => {
    const known = domains.find((one) => host === one || host.endsWith(`.${one}`))
    return known ? `${host.slice(0, -known.length)}${domain}` : host
  }
  return {
    ...service,
    ...(service.host ? { host: moved(service.host) } : {}),
    ...(service.routes
      ? {
          routes: service.routes.map((route) => ({
            ...route,
            ...(route.hosts ? { hosts: route.hosts.map(moved) } : {}),
            ...(route.redirect?.host ? { redirect: { ...route.redirect, host: moved(route.redirect.host) } } : {}),
          })),
        }
      : {}),
  }
}

function plannedService(name: string, service: LandingService, isProduction: boolean): PlannedService {
  const { least, most } = service.instances
  const floor = isProduction && !service.stateful ? Math.max(2, least) : least
  const { schedule, ...rest } = service
  const planned = { ...rest, name, least: isProduction ? floor : 1, most: Math.max(most ?? floor, floor) }
  return isProduction && schedule ? { ...planned, schedule } : planned
}

interface StoreOptions {
  readonly name: string
  readonly store: LandingStore
  readonly isProduction: boolean
}

/** What the machine of a store is called, beside the service that takes over from it: the same in every phase. */
export function machineName(store: string): string {
  return `${store}-machine`
}

function formsOf({ phase, ...rest }: StoreOptions & { readonly phase: Phase }): PlannedStore[] {
  const { name, store } = rest
  if (store.becomes === 'rds' || phase === 'replatform' || phase === 'finalized')
    return [plannedStore(rest, store.becomes)]
  const machine = plannedStore({ ...rest, name: machineName(name) }, 'ec2')
  return phase === 'rehost' ? [machine] : [plannedStore(rest, store.becomes), machine]
}

function plannedStore({ name, store, isProduction }: StoreOptions, form: PlannedStore['form']): PlannedStore {
  return {
    ...store,
    name,
    form,
    port: portOf(store, form),
    size: sizedAs(store, form, isProduction),
    diskGiB: diskGiB(store),
  }
}

function sizedAs(store: LandingStore, form: PlannedStore['form'], isProduction: boolean): Sizing | null {
  if (form === 's3' || form === 'efs' || form === 'fsx') return null
  const isCluster = form === 'rds' && store.availability === 'cluster' && isProduction
  return sizeOf(isCluster ? 'rds-cluster' : form, store, !isProduction)
}

/** Not the engines' own ports where the service lets one choose: a scan for 5432 finds nothing. TLS everywhere. */
function portOf({ engine }: LandingStore, form: PlannedStore['form']): number {
  switch (form) {
    case 'rds':
      return engine === 'postgresql' ? 6432 : 6306
    case 'documentdb':
      return 27_018
    case 'elasticache':
      return 6380
    case 'amazon-mq-activemq':
    case 'amazon-mq-rabbitmq':
      return 5671
    case 'efs':
      return 2049
    case 'fsx':
      return 445
    case 'ec2':
      return rehostedPort[engine]
    default:
      return 443
  }
}

const rehostedPort: Readonly<Record<LandingStore['engine'], number>> = {
  postgresql: 5432,
  mysql: 3306,
  mariadb: 3306,
  mongodb: 27_017,
  redis: 6379,
  rabbitmq: 5671,
  elasticsearch: 9200,
  files: 2049,
}
