import type { Blueprint } from '../plan/blueprint.ts'
import type { TemplateGraph } from '../template/template-graph.ts'
import type { Rule, Violation } from './rule.ts'
import { accessRules } from './rules-access.ts'
import { attachmentRules } from './rules-attached.ts'
import { availabilityRules } from './rules-availability.ts'
import { dataRules } from './rules-data.ts'
import { egressRules } from './rules-egress.ts'
import { networkRules } from './rules-network.ts'
import { upkeepRules } from './rules-upkeep.ts'
import { watchRules } from './rules-watching.ts'

export const rules: readonly Rule[] = [
  ...networkRules,
  ...egressRules,
  ...dataRules,
  ...attachmentRules,
  ...availabilityRules,
  ...accessRules,
  ...watchRules,
  ...upkeepRules,
]

export interface RuleResult {
  readonly rule: string
  readonly pci: readonly string[]
  readonly wants: string
  readonly violations: readonly Violation[]
}

/** Holds the templates against every rule of ours. Looks only; what it finds is evidence for a control, not the control. */
export function checkTemplates(graph: TemplateGraph, blueprint: Blueprint): RuleResult[] {
  return rules.map(({ id, pci, wants, violations }) => ({
    rule: id,
    pci,
    wants,
    violations: violations(graph, blueprint),
  }))
}

export function violated(results: readonly RuleResult[]): RuleResult[] {
  return results.filter(({ violations }) => violations.length > 0)
}
