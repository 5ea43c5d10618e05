import type { Blueprint } from '../plan/blueprint.ts'
import { type RequirementId, requirement } from '../plan/requirements.ts'
import type { Resource, TemplateGraph } from '../template/template-graph.ts'
import { billOf } from './bill.ts'
import { billingOf } from './billed-items.ts'
import type { Prices } from './price-file.ts'

export interface ExplainedResource {
  readonly id: string
  readonly type: string
  /** Millionths of a dollar a month; null where a price is missing, which is not zero. */
  readonly monthlyMicroUsd: number | null
  /** Keys that have no price. */
  readonly unpriced: readonly string[]
  readonly byUse: string | null
}

export interface ExplainedRequirement {
  readonly id: string
  readonly need: string
  readonly resources: readonly ExplainedResource[]
  /** Of what has a price. */
  readonly monthlyMicroUsd: number
}

export interface Explanation {
  readonly environment: string
  readonly phase: string
  readonly requirements: readonly ExplainedRequirement[]
  readonly monthlyMicroUsd: number
  /** Keys without a price, each once. The sum above does not hold them. */
  readonly unpriced: readonly string[]
}

/** Requirement → resources → cost. A resource that serves several is counted at the first. */
export function explain(graph: TemplateGraph, blueprint: Blueprint, prices: Prices): Explanation {
  const byRequirement = Map.groupBy(graph.resources, ({ serves }) => serves[0] ?? 'none')
  const requirements = [...byRequirement].map(([id, resources]) => {
    const explained = resources.map((resource) => explainResource({ resource, graph, blueprint, prices }))
    const monthlyMicroUsd = explained.reduce((sum, one) => sum + (one.monthlyMicroUsd ?? 0), 0)
    return { id, need: needOf(id, blueprint), resources: explained, monthlyMicroUsd }
  })
  const unpriced = requirements.flatMap(({ resources }) => resources.flatMap((resource) => resource.unpriced))
  return {
    environment: blueprint.environment,
    phase: blueprint.phase,
    requirements: requirements.toSorted((a, b) => b.monthlyMicroUsd - a.monthlyMicroUsd || a.id.localeCompare(b.id)),
    monthlyMicroUsd: requirements.reduce((sum, one) => sum + one.monthlyMicroUsd, 0),
    unpriced: [...new Set(unpriced)].toSorted(),
  }
}

function needOf(id: string, { services, stores }: Blueprint): string {
  const [kind, name] = id.split('.')
  const item =
    kind === 'service'
      ? services.find((one) => one.name === name)
      : kind === 'store'
        ? stores.find((one) => one.name === name)
        : undefined
  if (id.startsWith('migration.')) return `The move of ${name}.`
  return requirement(id as RequirementId, item?.reason).need
}

interface ExplainOptions {
  readonly resource: Resource
  readonly graph: TemplateGraph
  readonly blueprint: Blueprint
  readonly prices: Prices
}

function explainResource({ resource, graph, blueprint, prices }: ExplainOptions): ExplainedResource {
  const billing = billingOf(resource, graph)
  const { id, type } = resource
  if (!billing) return { id, type, monthlyMicroUsd: null, unpriced: [type], byUse: null }
  const lines = billing.items.map(({ key, quantity }) => [key, quantity] as const)
  const { microUsd, unpriced } = billOf(lines, prices, blueprint.region)
  return { id, type, monthlyMicroUsd: microUsd, unpriced, byUse: billing.byUse ?? null }
}
