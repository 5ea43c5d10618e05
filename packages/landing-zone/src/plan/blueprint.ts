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
import { zonesOf } from './region-facts.ts'
import { diskGiB, type Sizing, sizeOf } from './sizing.ts'
import { validate } from './validate.ts'

/**
 * `rehost`: servers on EC2 and relational databases on RDS. `transition`: managed services beside the machines that
 * they take over from, while moves run. `replatform`: the machines are gone. `finalized`: what moved the data is gone too.
 */
export const phases = ['rehost', 'transition', 'replatform', 'finalized'] as const
export type Phase = (typeof phases)[number]
export type Tier = 'public' | 'app' | 'data'

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
  readonly natZones: readonly string[]
  readonly services: readonly PlannedService[]
  readonly stores: readonly PlannedStore[]
  readonly onPremises: OnPremises | null
  readonly extras: NonNullable<LandingZone['extras']>
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
    subnets: subnetsOf(settings.network, zones),
    natZones: (settings.nat ?? (isProduction ? 'per-zone' : 'one')) === 'one' ? zones.slice(0, 1) : zones,
    services: named(landingZone.services).map(([name, service]) => plannedService(name, service, isProduction)),
    stores: named(landingZone.stores).flatMap(([name, store]) => formsOf({ name, store, phase, isProduction })),
    onPremises,
    extras,
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

/** A quarter of the range for each tier, divided among four zones, so that a third zone never moves an address. */
function subnetsOf(network: string, zones: readonly string[]): Subnet[] {
  const whole = parseCidr(network)
  if (!whole) return []
  const tiers: readonly Tier[] = ['public', 'app', 'data']
  return tiers.flatMap((tier, tierIndex) =>
    zones.flatMap((zone, zoneIndex) => {
      const range = part(whole, whole.prefix + 4, tierIndex * 4 + zoneIndex)
      return range ? [{ tier, zone, cidr: formatCidr(range) }] : []
    }),
  )
}

function plannedService(name: string, service: LandingService, isProduction: boolean): PlannedService {
  const { least, most } = service.instances
  const floor = isProduction && !service.stateful ? Math.max(2, least) : least
  return { ...service, name, least: isProduction ? floor : 1, most: Math.max(most ?? floor, floor) }
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
