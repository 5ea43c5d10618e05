import { beforeAll, describe, expect, test } from 'vitest'
import { type Resource, TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { guarded, patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { proveReachability } from './prove.ts'

/**
 * Goal: a firewall that is paid for is passed, both ways, and what is not on its list is refused. Method: the templates
 * with one NAT for each zone and with one for all, and then with one route or rule changed.
 */
const perZone = walletBlueprint({ change: guarded })
const single = walletBlueprint({ environment: 'staging', change: guarded })
let graph: TemplateGraph
let singleGraph: TemplateGraph
beforeAll(() => {
  graph = graphOf(perZone)
  singleGraph = graphOf(single)
}, patienceMs)

const routesOf = (part: string) => graph.ofType('AWS::EC2::Route').filter(({ logicalId }) => logicalId.includes(part))
const without = (...gone: readonly Resource[]) =>
  new TemplateGraph(graph.resources.filter((resource) => !gone.includes(resource)))
const closedWays = (changed: TemplateGraph) =>
  proveReachability(changed, perZone).closed.map(({ from, to, port, because }) => `${from} ${to} ${port}: ${because}`)

describe('the way out', () => {
  test('leads through the firewall of its own zone, and through as many firewalls as there are zones', () => {
    const { wanted } = proveReachability(graph, perZone)
    const out = wanted.filter(({ to }) => to === 'internet' || to.startsWith('partner:'))
    expect(out.map(({ to, port }) => `${to}:${port}`)).toEqual(['partner:198.51.100.0/28:22', 'internet:443'])
    for (const { inspectedBy } of out) expect(inspectedBy).toHaveLength(3)
  })

  test('leads from every zone through the only firewall where there is one NAT', () => {
    const { wanted, closed, unasked } = proveReachability(singleGraph, single)
    expect({ closed, unasked }).toEqual({ closed: [], unasked: [] })
    const out = wanted.filter(({ to }) => to === 'internet')
    expect(out.map(({ inspectedBy }) => inspectedBy.length)).toEqual([1])
    expect(singleGraph.ofType('AWS::NetworkFirewall::Firewall')).toHaveLength(1)
    expect(singleGraph.ofType('AWS::EC2::NatGateway')).toHaveLength(1)
    // Two app subnets, each with its way back.
    expect(singleGraph.ofType('AWS::EC2::Route').filter(({ logicalId }) => logicalId.includes('Back'))).toHaveLength(2)
  })

  test('is closed where the answer would go around the firewall', () => {
    const [back] = routesOf('WayOutnatABack')
    expect(closedWays(without(back as Resource))).toContain(
      'service:merchants partners 443: the answer does not come back through the same firewall, in part',
    )
  })

  test('is closed where the answer would go through the firewall of another zone', () => {
    const [a] = routesOf('WayOutnatABack') as [Resource]
    const [b] = routesOf('WayOutnatBBack') as [Resource]
    const crossed = graph.with({ ...a, properties: { ...a.properties, VpcEndpointId: b.properties.VpcEndpointId } })
    expect(closedWays(crossed)).toContain(
      'service:merchants partners 443: the answer does not come back through the same firewall, in part',
    )
  })

  test('that leads around the firewall is no longer inspected', () => {
    const [out] = routesOf('WayOutappA') as [Resource]
    const [nat] = graph.ofType('AWS::EC2::NatGateway') as [Resource]
    const { VpcEndpointId: _, ...rest } = out.properties
    const around = graph
      .with({ ...out, properties: { ...rest, NatGatewayId: `«${nat.id}»` } })
      .resources.filter((resource) => !routesOf('WayOutnatABack').includes(resource))
    const { wanted } = proveReachability(new TemplateGraph(around), perZone)
    expect(wanted.filter(({ to }) => to === 'internet').map(({ inspectedBy }) => inspectedBy)).toEqual([[]])
  })
})

describe('the list of the firewall', () => {
  const group = (part: string) =>
    graph.ofType('AWS::NetworkFirewall::RuleGroup').find(({ logicalId }) => logicalId.includes(part)) as Resource

  test('holds partners by name and by address, and an end to what is not TCP', () => {
    expect(group('Partners').properties).toMatchObject({
      RuleGroup: { RulesSource: { RulesSourceList: { Targets: ['api.bank.example', 'screening.vendor.example'] } } },
    })
    expect(group('Addresses').properties).toMatchObject({
      RuleGroup: {
        RuleVariables: { IPSets: { PARTNER1: { Definition: ['198.51.100.0/28'] } } },
        RulesSource: {
          StatefulRules: [
            { Action: 'PASS', Header: { Protocol: 'TCP', Destination: '$PARTNER1', DestinationPort: '22' } },
            { Action: 'DROP', Header: { Protocol: 'UDP' } },
            { Action: 'DROP', Header: { Protocol: 'ICMP' } },
          ],
        },
      },
    })
  })

  test.each([
    ['Partners', 'service:merchants partners 443'],
    ['Addresses', 'service:merchants partner:198.51.100.0/28 22'],
  ])('without its group of %s refuses what that let pass', (part, way) => {
    expect(closedWays(without(group(part)))).toEqual([`${way}: no rule of the firewall lets it pass`])
  })
})

test('a rule of a group to an address that nobody named is found', () => {
  const rule = graph.ofType('AWS::EC2::SecurityGroupEgress').find(({ logicalId }) => logicalId.includes('Partner198'))
  const other = {
    ...(rule as Resource),
    id: 'network.Other',
    properties: { ...rule?.properties, CidrIp: '192.0.2.7/32' },
  }
  const { denied } = proveReachability(new TemplateGraph([...graph.resources, other]), perZone)
  // The firewall refuses it; without one it is open.
  expect(denied).toContainEqual(
    expect.objectContaining({ to: 'partner:192.0.2.7/32', because: 'no rule of the firewall lets it pass' }),
  )
  const open = walletBlueprint()
  const opened = new TemplateGraph([...graphOf(open).resources, { ...other, properties: { ...other.properties } }])
  expect(proveReachability(opened, open).unasked.map(({ to, port }) => `${to}:${port}`)).toEqual([
    'partner:192.0.2.7/32:22',
  ])
})
