/** Who may talk to whom, and why: the source of every security group, and what the reachability proof holds them to. */
import { type Blueprint, machineName, type PlannedService, type PlannedStore } from './blueprint.ts'
import type { RequirementId } from './requirements.ts'

/**
 * `internet`, `on-premises`, `people` (operators that dialled in), `balancer:<service>`, `service:<name>`,
 * `store:<name>`, `endpoints` (of AWS services), `objects` (S3, by its gateway), `migration` (workers), `partners` (what
 * services name as egress), `partner:<range>` (one that is known by its address).
 */
export type Party =
  | 'internet'
  | 'on-premises'
  | 'people'
  | 'endpoints'
  | 'objects'
  | 'migration'
  | 'partners'
  | `partner:${string}`
  | `balancer:${string}`
  | `service:${string}`
  | `store:${string}`

export interface Flow {
  readonly from: Party
  readonly to: Party
  readonly port: number
  /** In words that an auditor can read (PCI-DSS 4.0.1, 1.2.5: ports with their business need). */
  readonly reason: string
  readonly serves: RequirementId
}

export function flowsOf(blueprint: Blueprint): Flow[] {
  return joined([
    ...blueprint.services.flatMap((service) => serviceFlows(blueprint, service)),
    ...storeFlows(blueprint),
    ...peopleFlows(blueprint),
    ...migrationFlows(blueprint),
  ])
}

/** Several partners on one port are one rule with all their reasons. */
function joined(flows: readonly Flow[]): Flow[] {
  const byWay = Map.groupBy(flows, ({ from, to, port }) => `${from} ${to} ${port}`)
  return [...byWay.values()].map((same) => ({
    ...(same[0] as Flow),
    reason: same.map(({ reason }) => reason).join(' '),
  }))
}

/** Every party that a flow names, each once; those outside AWS have no security group. */
export function partiesOf(flows: readonly Flow[]): Party[] {
  return [...new Set(flows.flatMap(({ from, to }) => [from, to]))]
}

/** People who dial in come out of the endpoint's own interfaces, so they do have a group. */
const outside: readonly Party[] = ['internet', 'on-premises', 'partners', 'objects']

export function isInside(party: Party): boolean {
  return !outside.includes(party) && !party.startsWith('partner:')
}

function serviceFlows(blueprint: Blueprint, service: PlannedService): Flow[] {
  const { name, from, port, stores = [], calls = [], egress = [], routes = [], reason } = service
  const serves = `service.${name}` as const
  const balancer = `balancer:${name}` as const
  const self = `service:${name}` as const
  const storeOf = new Map(blueprint.stores.map((store) => [store.name, store]))
  const used = stores.flatMap((store) => [storeOf.get(store) ?? [], storeOf.get(machineName(store)) ?? []].flat())
  return [
    ...(from.includes('internet') ? [flow('internet', balancer, 443, `Users reach ${name}: ${reason}`, serves)] : []),
    ...(from.includes('on-premises') && blueprint.onPremises
      ? [flow('on-premises', balancer, 443, `Systems of the old site call ${name}.`, serves)]
      : []),
    flow(balancer, self, port, `The balancer passes requests to ${name} and asks for its health.`, serves),
    ...routes.flatMap((route) => {
      const other = blueprint.services.find((one) => one.name === route.to && one.name !== name)
      if (!other) return []
      return [flow(balancer, `service:${other.name}`, other.port, `The balancer of ${name}: ${route.reason}`, serves)]
    }),
    ...calls.map((other) => flow(self, `balancer:${other}`, 443, `${name} calls ${other}.`, serves)),
    ...used.map((store) => flow(self, placeOf(store), store.port, `${name} reads and writes ${store.name}.`, serves)),
    flow(
      self,
      'endpoints',
      443,
      `${name} reads its secrets, sends its logs and is administered.`,
      'network.private-aws',
    ),
    flow(self, 'objects', 443, `Machines of ${name} fetch patches and packages.`, 'network.private-aws'),
    ...egress.flatMap((partner) => egressFlows(self, partner)),
  ]
}

/** A partner whose addresses are known is held to them; of another only the port is, and its name by DNS. */
function egressFlows(
  self: Party,
  { host, addresses, port, reason }: NonNullable<PlannedService['egress']>[number],
): Flow[] {
  const why = host ? `${host}: ${reason}` : reason
  const parties = addresses?.map((range) => `partner:${range}` as const) ?? (['partners'] as const)
  return parties.map((party) => flow(self, party, port, why, 'network.egress'))
}

/** Objects have no address of their own: S3 is reached as a whole, and the policy of its endpoint says whose buckets. */
function placeOf({ form, name }: PlannedStore): Party {
  return form === 's3' ? 'objects' : `store:${name}`
}

/** Members of a rehosted store are administered as servers are. */
function storeFlows({ stores }: Blueprint): Flow[] {
  const rehosted = stores.filter(({ form }) => form === 'ec2')
  return rehosted.flatMap(({ name }) => {
    const [self, serves] = [`store:${name}`, `store.${name}`] as const
    return [
      flow(self, 'endpoints', 443, `The machine of ${name} is administered and sends its logs.`, serves),
      flow(self, 'objects', 443, `The machine of ${name} fetches patches and packages.`, serves),
    ]
  })
}

function peopleFlows({ onPremises }: Blueprint): Flow[] {
  if (!onPremises?.people) return []
  return [
    flow('people', 'endpoints', 443, `Session Manager and consoles: ${onPremises.people.reason}`, 'people.access'),
  ]
}

/** Only while there is an old site to move from. */
function migrationFlows({ stores, onPremises, phase }: Blueprint): Flow[] {
  if (!onPremises || phase === 'finalized') return []
  return [
    flow(
      'migration',
      'endpoints',
      443,
      'Movers read their secrets, fetch their image and send their logs.',
      'migration',
    ),
    flow('migration', 'objects', 443, 'The layers of the movers’ image lie in S3.', 'migration'),
    ...stores.map((store) =>
      flow(
        'migration',
        placeOf(store),
        store.port,
        `The mover of ${store.name} writes its target.`,
        `migration.${store.name}`,
      ),
    ),
    ...[...new Set(stores.map(({ engine }) => sourcePort[engine]))].map((port) =>
      flow('migration', 'on-premises', port, 'Movers read the old stores.', 'migration'),
    ),
  ]
}

const sourcePort = {
  postgresql: 5432,
  mysql: 3306,
  mariadb: 3306,
  mongodb: 27_017,
  redis: 6379,
  rabbitmq: 5671,
  elasticsearch: 9200,
  files: 22,
} as const

function flow(from: Party, to: Party, port: number, reason: string, serves: RequirementId): Flow {
  return { from, to, port, reason, serves }
}
