/** Every interface of an environment in one list: who comes in where, how that is protected, why, and what wakes whom. */
import type { Blueprint, PlannedStore } from '../plan/blueprint.ts'
import { type Flow, flowsOf } from '../plan/flows.ts'

export interface Interface {
  /** `balancer:gateway`, `store:ledger` … */
  readonly at: string
  readonly port: number
  readonly from: readonly string[]
  readonly authentication: string
  readonly encryption: string
  readonly cardData: string
  readonly reasons: readonly string[]
  readonly alarm: string
}

/** By place and port; what nobody may reach has no row. */
export function registerOf(blueprint: Blueprint): Interface[] {
  const byPlace = Map.groupBy(flowsOf(blueprint), ({ to, port }) => `${to} ${port}`)
  return [...byPlace.values()]
    .map((flows) => interfaceOf(flows, blueprint))
    .toSorted((a, b) => a.at.localeCompare(b.at) || a.port - b.port)
}

function interfaceOf(flows: readonly Flow[], blueprint: Blueprint): Interface {
  const { to, port } = flows[0] as Flow
  const store = blueprint.stores.find(({ name }) => to === `store:${name}`)
  return {
    at: to,
    port,
    from: flows.map(({ from }) => from),
    authentication: store ? ofStore[store.form].authentication : (ofParty[kindOf(to)]?.authentication ?? 'not ours'),
    encryption: store ? ofStore[store.form].encryption : (ofParty[kindOf(to)]?.encryption ?? 'not ours'),
    cardData: store?.cardData ?? (store ? 'undeclared' : 'in transit'),
    reasons: flows.map(({ reason }) => reason),
    alarm:
      store || to.startsWith('balancer:')
        ? `dashboard and alarms of ${to.split(':')[1]}, to ${blueprint.contact}`
        : 'audit trail',
  }
}

function kindOf(party: string): string {
  return party.split(':')[0] ?? party
}

interface Protection {
  readonly authentication: string
  readonly encryption: string
}

const ofParty: Readonly<Record<string, Protection>> = {
  'balancer': { authentication: 'by the service behind it', encryption: 'TLS 1.2 or 1.3, certificate of ACM' },
  'service': { authentication: 'security group of its balancer', encryption: 'TLS to the machine' },
  'endpoints': { authentication: 'IAM, own account only', encryption: 'TLS of AWS' },
  'on-premises': { authentication: 'as there', encryption: 'IKEv2, AES-256-GCM' },
  'partners': { authentication: 'agreed with the partner', encryption: 'TLS, by the service' },
}

const tls = 'TLS required'
const ofStore: Readonly<Record<PlannedStore['form'], Protection>> = {
  'ec2': { authentication: 'as on the old machine', encryption: 'as on the old machine; disk under own key' },
  'rds': {
    authentication: 'password that rotates; IAM where the engine has it',
    encryption: `${tls}; disk under own key`,
  },
  'documentdb': { authentication: 'password that rotates', encryption: `${tls}; disk under own key` },
  'elasticache': { authentication: 'users with passwords', encryption: `${tls}; at rest under own key` },
  'amazon-mq-activemq': { authentication: 'users of the broker', encryption: `${tls}; disk under own key` },
  'amazon-mq-rabbitmq': { authentication: 'users of the broker', encryption: `${tls}; disk under own key` },
  'opensearch': { authentication: 'fine-grained users', encryption: `${tls}; between nodes too; disk under own key` },
  's3': { authentication: 'IAM', encryption: `${tls}; objects under own key` },
  'efs': { authentication: 'mount target, security group', encryption: `${tls}; at rest under own key` },
  'fsx': { authentication: 'Active Directory', encryption: 'SMB 3 encryption; at rest under own key' },
}
