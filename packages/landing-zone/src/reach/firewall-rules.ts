/** What a network firewall lets through, as its policy and groups of rules say it. */
import { at } from '../check/rule.ts'
import { type Cidr, contains, parseCidr } from '../plan/cidr.ts'
import type { Properties, Resource, TemplateGraph } from '../template/template-graph.ts'
import type { DeadEnd } from './route-tables.ts'

export interface Conversation {
  readonly target: Cidr
  readonly port: number
  /** Whether a name that TLS or HTTP says may be what opens it: not for who is known by an address alone. */
  readonly byName: boolean
}

/** The group that lets a TCP conversation pass, or what refuses it. Groups are asked in the order of their priority. */
export function passesFirewall(graph: TemplateGraph, firewall: Resource, talk: Conversation): string | DeadEnd {
  const policy = graph.named(firewall.properties.FirewallPolicyArn)[0]
  if (!policy) return { because: 'the firewall has no policy', at: firewall.id }
  const references = (at(policy.properties, 'FirewallPolicy.StatefulRuleGroupReferences') ??
    []) as readonly Properties[]
  const groups = references
    .toSorted((a, b) => Number(a.Priority) - Number(b.Priority))
    .flatMap(({ ResourceArn }) => graph.named(ResourceArn))
  for (const group of groups) {
    const verdict = verdictOf(group.properties, talk)
    if (verdict === 'pass') return group.id
    if (verdict === 'drop') return { because: 'a rule of the firewall drops it', at: group.id }
  }
  const last = JSON.stringify(at(policy.properties, 'FirewallPolicy.StatefulDefaultActions') ?? [])
  return last.includes('aws:drop') ? { because: 'no rule of the firewall lets it pass', at: policy.id } : policy.id
}

function verdictOf({ RuleGroup }: Properties, { target, port, byName }: Conversation): 'pass' | 'drop' | undefined {
  const list = at(RuleGroup, 'RulesSource.RulesSourceList')
  if (list) return byName && at(list, 'GeneratedRulesType') === 'ALLOWLIST' ? 'pass' : undefined
  const rules = (at(RuleGroup, 'RulesSource.StatefulRules') ?? []) as readonly Properties[]
  const meant = rules.find(({ Header }) => {
    const isTcp = ['TCP', 'IP'].includes(String(at(Header, 'Protocol')))
    const isPort = ['ANY', String(port)].includes(String(at(Header, 'DestinationPort')))
    return isTcp && isPort && rangesOf(RuleGroup, at(Header, 'Destination')).some((range) => contains(range, target))
  })
  return meant && (meant.Action === 'PASS' ? 'pass' : 'drop')
}

function rangesOf(group: unknown, destination: unknown): Cidr[] {
  const text = String(destination)
  if (text === 'ANY') return [{ base: 0, prefix: 0 }]
  const set = text.startsWith('$') ? at(group, `RuleVariables.IPSets.${text.slice(1)}.Definition`) : [text]
  return [set].flat().flatMap((range) => parseCidr(String(range)) ?? [])
}
