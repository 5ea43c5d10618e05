import { parseCidr } from '../plan/cidr.ts'
import { anyPort } from '../plan/ports.ts'
import { NetworkAcls } from '../reach/network-acls.ts'
import { isDeadEnd, RouteTables, somewhere } from '../reach/route-tables.ts'
import type { Properties, Resource, TemplateGraph } from '../template/template-graph.ts'
import { aboutEach, all, at, expecting, type Rule } from './rule.ts'

type WithFirewall = { readonly firewallZones: readonly string[] }
const withFirewall = ({ firewallZones }: WithFirewall) => firewallZones.length > 0

/** The lock of the data tier, and the firewall where one was asked for (PCI-DSS 4.0.1, 1). */
export const egressRules: readonly Rule[] = [
  {
    id: 'data-locked',
    pci: ['1.3.1', '1.4.4'],
    wants: 'A network ACL keeps every tier but app and data out of the data subnets, whatever a security group says.',
    violations: (graph) => {
      const acls = new NetworkAcls(graph)
      const strangers = [...subnets(graph, 'Public'), ...subnets(graph, 'Nat'), ...subnets(graph, 'Firewall')]
      return subnets(graph, 'Data').flatMap(({ id }) => {
        const admitted = strangers.find(({ properties }) => {
          const range = parseCidr(String(properties.CidrBlock))
          return range && acls.passes(id, 'in', range, anyPort).some
        })
        return admitted ? [{ at: id, what: `admits ${admitted.id}` }] : []
      })
    },
  },
  {
    id: 'egress-inspected',
    pci: ['1.3.2', '1.4.2'],
    wants: 'Where a firewall was asked for, whatever goes out passes it, and so does the answer.',
    violations: (graph, blueprint) => {
      if (!withFirewall(blueprint)) return []
      const routes = new RouteTables(graph)
      return subnets(graph, 'App').flatMap(({ id }) => {
        const walk = routes.out(id, somewhere, false)
        if (isDeadEnd(walk)) return [{ at: walk.at, what: walk.because }]
        return walk.inspectedBy.length > 0 ? [] : [{ at: id, what: 'goes out around the firewall' }]
      })
    },
  },
  aboutEach({
    id: 'firewall-stays',
    pci: ['1.2.2'],
    wants: 'Nobody takes the firewall, its place or its policy away in passing.',
    types: ['AWS::NetworkFirewall::Firewall'],
    when: withFirewall,
    atLeastOne: true,
    wrong: expecting({ DeleteProtection: true, SubnetChangeProtection: true, FirewallPolicyChangeProtection: true }),
  }),
  aboutEach({
    id: 'firewall-refuses',
    pci: ['1.3.2', '1.4.2'],
    wants: 'What no rule of the firewall lets pass is dropped and told; nothing gets by in fragments.',
    types: ['AWS::NetworkFirewall::FirewallPolicy'],
    when: withFirewall,
    atLeastOne: true,
    wrong: all(
      expecting({
        'FirewallPolicy.StatelessDefaultActions.0': 'aws:forward_to_sfe',
        'FirewallPolicy.StatelessFragmentDefaultActions.0': 'aws:drop',
        'FirewallPolicy.StatefulEngineOptions.RuleOrder': 'STRICT_ORDER',
        'FirewallPolicy.StatefulEngineOptions.StreamExceptionPolicy': 'DROP',
      }),
      ({ FirewallPolicy }) => {
        const last = (at(FirewallPolicy, 'StatefulDefaultActions') ?? []) as readonly unknown[]
        const lacks = ['aws:drop_established', 'aws:alert_established'].find((action) => !last.includes(action))
        return lacks && `does not end with ${lacks}`
      },
    ),
  }),
  {
    id: 'firewall-tcp-only',
    pci: ['1.3.2'],
    wants: 'Only TCP goes out through the firewall: UDP and ICMP carry data past its lists.',
    violations: (graph, blueprint) => {
      if (!withFirewall(blueprint)) return []
      const rules = graph
        .ofType('AWS::NetworkFirewall::RuleGroup')
        .flatMap(({ properties }) => (at(properties, 'RuleGroup.RulesSource.StatefulRules') ?? []) as Properties[])
      const dropped = rules
        .filter(({ Action, Header }) => Action === 'DROP' && at(Header, 'Destination') === 'ANY')
        .map(({ Header }) => at(Header, 'Protocol'))
      const open = ['UDP', 'ICMP'].filter((protocol) => !dropped.includes(protocol))
      return open.map((protocol) => ({ at: 'firewall', what: `lets ${protocol} pass` }))
    },
  },
  {
    id: 'firewall-logged',
    pci: ['10.2.1', '1.2.7'],
    wants: 'The firewall keeps a log of every flow and of every refusal, and a refusal raises an alarm.',
    violations: (graph, blueprint) => {
      if (!withFirewall(blueprint)) return []
      const silent = graph.ofType('AWS::NetworkFirewall::Firewall').flatMap((firewall) => {
        const logs = graph.usersOf(firewall).find(({ type }) => type === 'AWS::NetworkFirewall::LoggingConfiguration')
        const kinds = JSON.stringify(logs?.properties ?? '')
        return kinds.includes('"FLOW"') && kinds.includes('"ALERT"') ? [] : [{ at: firewall.id, what: 'keeps no log' }]
      })
      const isWatched = graph
        .ofType('AWS::CloudWatch::Alarm')
        .some(({ properties }) => properties.MetricName === 'EgressRefused')
      return [...silent, ...(isWatched ? [] : [{ at: 'firewall', what: 'refuses without an alarm' }])]
    },
  },
]

function subnets(graph: TemplateGraph, tier: string): Resource[] {
  return graph.ofType('AWS::EC2::Subnet').filter(({ logicalId }) => logicalId.startsWith(`Network${tier}`))
}
