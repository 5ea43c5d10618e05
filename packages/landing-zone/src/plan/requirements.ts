/**
 * Why anything is built. Every resource of a template serves at least one of these; one that serves none is a defect
 * that synthesis refuses, so that "only the necessary" can be read instead of believed.
 */
export interface Requirement {
  /** Stable, dotted. Those of one store or service end with its name: `store.ledger`. */
  readonly id: string
  /** One sentence. */
  readonly need: string
}

export const standingNeed = {
  'availability.zones': 'The loss of one availability zone stops no payment.',
  'environments.separate': 'Production and the others share no network, key or role.',
  'network.closed': 'Nothing is reachable unless somebody asked for it.',
  'network.egress': 'Services reach only the partners that they name.',
  'network.private-aws': 'Traffic to AWS services stays on private addresses.',
  'network.on-premises': 'The old site and AWS reach each other privately, over two tunnels.',
  'network.direct-connect': 'A private line carries the traffic that a tunnel cannot.',
  'people.access': 'Operators come in with a second factor and leave a trace.',
  'security.keys': 'Data is encrypted under keys of the company, which rotate.',
  'security.audit-trail': 'Who did what is kept for twelve months and cannot be changed unnoticed.',
  'security.threats': 'Attacks and misuse are noticed and reach a person.',
  'security.configuration': 'Drift from the agreed configuration is noticed.',
  'security.edge': 'Requests from outside are filtered before they reach a service.',
  'operations.incidents': 'Whatever breaks raises one alarm that reaches a person.',
  'operations.dashboards': 'One look tells how a service, a store and the estate are.',
  'operations.backup': 'Data can be had back from before a mistake.',
  'operations.resilience': 'What is said to survive is tried out.',
  'operations.cost': 'Spending beyond the plan is noticed within a day.',
  'operations.patching': 'Security updates arrive without anybody logging in.',
  'migration': 'Data moves while payments go on; what it takes is removed at the end.',
} as const
export type StandingRequirement = keyof typeof standingNeed
export type RequirementId = StandingRequirement | `service.${string}` | `store.${string}` | `migration.${string}`

export function requirement(id: RequirementId, reason?: string): Requirement {
  const need = (standingNeed as Readonly<Record<string, string>>)[id] ?? reason ?? id
  return { id, need }
}
