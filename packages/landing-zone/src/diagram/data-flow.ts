/** Who sends what to whom, in which protocol, and what of card numbers goes along: what the data-flow picture shows. */
import type { Blueprint, PlannedStore } from '../plan/blueprint.ts'
import { type Flow, flowsOf } from '../plan/flows.ts'
import { partnerName } from '../plan/partners.ts'
import { encryptionOf } from '../register/register.ts'

/** From what harms least. `undeclared` is none of these: nobody said it. */
const forms = ['none', 'truncated', 'tokenised', 'field-encrypted', 'whole'] as const
export type CardForm = (typeof forms)[number] | 'undeclared'

export interface DataPlace {
  /** `service:gateway`, `store:ledger`, `caller:shops`, `partner:api.bank.example`, `on-premises`, `migration`. */
  readonly id: string
  readonly name: string
  readonly kind: string
  readonly side: 'outside' | 'services' | 'stores'
  /** Of what it holds; null where it only passes data on. */
  readonly holds: CardForm | null
}

export interface DataFlow {
  readonly from: string
  readonly to: string
  /** `PostgreSQL 6432`. */
  readonly protocol: string
  readonly encryption: string
  readonly cardData: CardForm
}

export interface DataFlows {
  readonly places: readonly DataPlace[]
  readonly flows: readonly DataFlow[]
}

/**
 * A service and its balancer are one place, and what AWS itself is asked (secrets, logs) is left out: the register
 * lists both. Everything else that `flowsOf` names is here, so it is what the reachability proof holds templates to.
 */
export function dataFlowsOf(blueprint: Blueprint): DataFlows {
  const flows: DataFlow[] = [
    ...flowsOf(blueprint).flatMap((flow) => shown(flow, blueprint)),
    ...blueprint.services.flatMap(({ name, egress = [] }) =>
      egress.map((partner) => ({
        from: `service:${name}`,
        to: `partner:${partnerName(partner)}`,
        protocol: partner.port === 443 ? 'HTTPS 443' : `TCP ${partner.port}`,
        encryption: encryptionOf(partner),
        cardData: partner.cardData ?? ('undeclared' as const),
      })),
    ),
    ...objectFlows(blueprint),
  ]
  const ids = [...new Set(flows.flatMap(({ from, to }) => [from, to]))]
  return { places: ids.map((id) => placeOf(id, blueprint)), flows: joined(flows) }
}

function shown(flow: Flow, blueprint: Blueprint): DataFlow[] {
  const [from, to] = [placeId(flow.from), placeId(flow.to)]
  // Partners and buckets stand here by their own names.
  if (to === 'partners' || to === 'objects' || to.startsWith('partner:')) return []
  if ((to === 'endpoints' && from !== 'people') || from === to) return []
  if (from === 'people')
    return [{ from, to, protocol: 'HTTPS 443', encryption: 'TLS, second factor', cardData: 'none' }]
  const service = blueprint.services.find(({ name }) => to === `service:${name}`)
  if (from === 'internet' && service?.callers?.length) {
    return service.callers.map(({ name, cardData = 'undeclared' as const }) => ({
      from: `caller:${name}`,
      to,
      protocol: 'HTTPS 443',
      encryption: 'TLS 1.2 or 1.3',
      cardData,
    }))
  }
  const store = blueprint.stores.find(({ name }) => to === `store:${name}`)
  if (store) return [{ from, to, ...wireOf(store), cardData: store.cardData ?? 'undeclared' }]
  if (to === 'on-premises')
    return [{ from, to, protocol: `reads ${flow.port}`, encryption: 'IPsec', cardData: worst(blueprint.stores) }]
  const encryption = from === 'on-premises' ? 'IPsec and TLS' : 'TLS'
  return [{ from, to, protocol: `HTTPS ${flow.port}`, encryption, cardData: service?.cardData ?? 'undeclared' }]
}

/** Objects are reached through the endpoint of S3, which is no flow between two parties. */
function objectFlows({ services, stores, phase, onPremises }: Blueprint): DataFlow[] {
  const buckets = stores.filter(({ form }) => form === 's3')
  return buckets.flatMap((store) => {
    const users = services
      .filter((service) => service.stores?.includes(store.name))
      .map(({ name }) => `service:${name}`)
    const mover = onPremises && phase !== 'finalized' ? ['migration'] : []
    return [...users, ...mover].map(
      (from): DataFlow => ({
        from,
        to: `store:${store.name}`,
        ...wireOf(store),
        cardData: store.cardData ?? 'undeclared',
      }),
    )
  })
}

/** Several ports between two places are one line. */
function joined(flows: readonly DataFlow[]): DataFlow[] {
  const byWay = Map.groupBy(flows, ({ from, to, encryption }) => `${from} ${to} ${encryption}`)
  return [...byWay.values()].map((same) => {
    const [name] = (same[0] as DataFlow).protocol.split(' ')
    const ports = [...new Set(same.map(({ protocol }) => protocol.split(' ').at(-1)))]
    return { ...(same[0] as DataFlow), protocol: `${name} ${ports.join(', ')}` }
  })
}

function placeId(party: string): string {
  return party.replace(/^balancer:/, 'service:')
}

function worst(stores: readonly PlannedStore[]): CardForm {
  const held = stores.map(({ cardData }) => cardData)
  if (held.includes(undefined)) return 'undeclared'
  return forms.findLast((form) => held.some((one) => one === form)) ?? 'none'
}

const protocols: Readonly<Record<PlannedStore['engine'], string>> = {
  postgresql: 'PostgreSQL',
  mysql: 'MySQL',
  mariadb: 'MySQL',
  mongodb: 'MongoDB',
  redis: 'Redis',
  rabbitmq: 'AMQP',
  elasticsearch: 'HTTPS',
  files: 'NFS',
}

function wireOf({ engine, form, port }: PlannedStore): Pick<DataFlow, 'protocol' | 'encryption'> {
  const name = form === 's3' ? 'HTTPS' : form === 'fsx' ? 'SMB' : protocols[engine]
  const encryption = form === 'ec2' ? 'as before' : form === 'fsx' ? 'SMB 3' : 'TLS'
  return { protocol: `${name} ${port}`, encryption }
}

const storeKinds: Readonly<Record<PlannedStore['form'], string>> = {
  'ec2': 'EC2, as it was',
  'rds': 'RDS',
  'documentdb': 'DocumentDB',
  'elasticache': 'ElastiCache',
  'amazon-mq-activemq': 'Amazon MQ',
  'amazon-mq-rabbitmq': 'Amazon MQ',
  'opensearch': 'OpenSearch',
  's3': 'S3',
  'efs': 'EFS',
  'fsx': 'FSx',
}

function placeOf(id: string, { services, stores }: Blueprint): DataPlace {
  const [what = id, name = id] = id.split(':')
  switch (what) {
    case 'store': {
      const store = stores.find((one) => one.name === name) as PlannedStore
      return { id, name, kind: storeKinds[store.form], side: 'stores', holds: store.cardData ?? 'undeclared' }
    }
    case 'service':
      return { id, name, kind: 'service', side: 'services', holds: null }
    case 'caller': {
      const caller = services.flatMap(({ callers = [] }) => callers).find((one) => one.name === name)
      return { id, name, kind: caller?.kind ?? 'users', side: 'outside', holds: null }
    }
    case 'partner': {
      const partner = services.flatMap(({ egress = [] }) => egress).find((one) => partnerName(one) === name)
      return { id, name, kind: partner?.kind ?? 'partner', side: 'outside', holds: null }
    }
    case 'migration':
      return { id, name: 'movers', kind: 'Fargate', side: 'services', holds: null }
    case 'on-premises':
      return { id, name: 'old site', kind: 'old site', side: 'outside', holds: worst(stores) }
    case 'people':
      return { id, name: 'operators', kind: 'operators', side: 'outside', holds: null }
    case 'endpoints':
      return { id, name: 'Session Manager', kind: 'administration', side: 'services', holds: null }
    default:
      return { id, name: id, kind: 'users', side: 'outside', holds: null }
  }
}
