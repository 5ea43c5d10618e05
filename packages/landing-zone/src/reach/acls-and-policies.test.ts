import { beforeAll, describe, expect, test } from 'vitest'
import { parseCidr } from '../plan/cidr.ts'
import { answerPorts } from '../plan/ports.ts'
import { type Resource, TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { NetworkAcls } from './network-acls.ts'
import { proveReachability } from './prove.ts'

/**
 * Goal: what only a network ACL or only the policy of an endpoint decides is decided by it, and named. Method: the
 * templates, in which groups and routes stay as they are, with one ACL, entry or policy changed.
 */
const blueprint = walletBlueprint({ phase: 'transition' })
let graph: TemplateGraph
beforeAll(() => {
  graph = graphOf(blueprint)
}, patienceMs)

const resource = (id: string, type: string, properties: object): Resource => ({
  id: `network.${id}`,
  stack: 'network',
  logicalId: id,
  type,
  properties: properties as Resource['properties'],
  serves: ['network.closed'],
  deletionPolicy: undefined,
})
const subnet = (name: string) =>
  graph.ofType('AWS::EC2::Subnet').find(({ logicalId }) => logicalId.startsWith(name)) as Resource

/** An ACL of its own for one subnet: entries as `out deny 10.0.0.0/8 1-65535`, numbered in their order. */
function locked(name: string, ...entries: readonly string[]): TemplateGraph {
  const lines = entries.map((entry, index) => {
    const [direction, RuleAction, CidrBlock, ports = ''] = entry.split(' ')
    const [From, To] = ports.split('-').map(Number)
    return resource(`TestEntry${index}`, 'AWS::EC2::NetworkAclEntry', {
      NetworkAclId: '«network.TestAcl»',
      RuleNumber: index + 1,
      Protocol: 6,
      RuleAction,
      Egress: direction === 'out',
      CidrBlock,
      PortRange: { From, To },
    })
  })
  return new TemplateGraph([
    ...graph.resources.filter(
      ({ type, properties }) =>
        type !== 'AWS::EC2::SubnetNetworkAclAssociation' || !graph.named(properties.SubnetId).includes(subnet(name)),
    ),
    resource('TestAcl', 'AWS::EC2::NetworkAcl', {}),
    resource('TestLink', 'AWS::EC2::SubnetNetworkAclAssociation', {
      NetworkAclId: '«network.TestAcl»',
      SubnetId: `«${subnet(name).id}»`,
    }),
    ...lines,
  ])
}
const closedIn = (changed: TemplateGraph) =>
  proveReachability(changed, blueprint).closed.map(({ from, to, because, at }) => `${from} ${to}: ${because} (${at})`)

describe('a network ACL', () => {
  test('that says nothing refuses everything, by its last word', () => {
    expect(closedIn(locked('NetworkDataA'))).toContain(
      'service:wallet store:ledger: a network ACL refuses it, in part (network.TestAcl)',
    )
  })

  test('that lets questions in and no answers out closes the way: it remembers no connection', () => {
    const deaf = locked('NetworkDataA', 'in allow 0.0.0.0/0 0-65535', 'out allow 0.0.0.0/0 443-443')
    expect(closedIn(deaf)).toContain('service:wallet store:ledger: a network ACL refuses it, in part (network.TestAcl)')
    const whole = locked('NetworkDataA', 'in allow 0.0.0.0/0 0-65535', 'out allow 0.0.0.0/0 0-65535')
    expect(closedIn(whole)).toEqual([])
  })

  test('names the entry that refuses, if one does', () => {
    const range = String(subnet('NetworkAppB').properties.CidrBlock)
    const changed = locked(
      'NetworkDataA',
      `in deny ${range} 443-443`,
      'in allow 0.0.0.0/0 0-65535',
      'out allow 0.0.0.0/0 0-65535',
    )
    expect(closedIn(changed)).toEqual([
      'service:wallet store:search: a network ACL refuses it, in part (network.TestEntry0)',
      'migration store:search: a network ACL refuses it, in part (network.TestEntry0)',
    ])
  })

  test('closes the way out on a subnet of NAT', () => {
    const changed = locked('NetworkNatA', 'in allow 10.0.0.0/8 0-65535', 'out allow 0.0.0.0/0 0-65535')
    expect(closedIn(changed)).toEqual([
      'service:merchants partners: a network ACL refuses it, in part (network.TestAcl)',
    ])
  })

  test('is what denies where groups and routes would not', () => {
    const rule = graph
      .ofType('AWS::EC2::SecurityGroupIngress')
      .find(({ logicalId }) => logicalId.includes('ToStoreLedger'))
    const out = graph
      .ofType('AWS::EC2::SecurityGroupEgress')
      .find(({ logicalId }) => logicalId.startsWith('SecurityGroupsBalancerGatewayTo')) as Resource
    const { DestinationSecurityGroupId: _, ...ports } = out.properties
    const opened = new TemplateGraph([
      ...graph.resources,
      { ...out, id: 'network.Slip', properties: { ...ports, FromPort: 6432, ToPort: 6432, CidrIp: '10.20.0.0/16' } },
      {
        ...(rule as Resource),
        id: 'network.Slip2',
        properties: { ...rule?.properties, SourceSecurityGroupId: undefined, CidrIp: '10.20.0.0/16' },
      },
    ])
    const way = { from: 'balancer:gateway', to: 'store:ledger', port: 6432 }
    expect(proveReachability(opened, blueprint).denied).toContainEqual(
      expect.objectContaining({ ...way, because: 'a network ACL refuses it' }),
    )
    const unlocked = new TemplateGraph(
      opened.resources.filter(({ type }) => type !== 'AWS::EC2::SubnetNetworkAclAssociation'),
    )
    expect(proveReachability(unlocked, blueprint).unasked).toContainEqual(expect.objectContaining(way))
  })

  test('is read entry by entry, ranges and ports in part', () => {
    const acls = new NetworkAcls(
      locked(
        'NetworkAppA',
        'in deny 10.20.8.0/21 0-1023',
        'in allow 10.20.0.0/16 22-2000',
        'in deny 0.0.0.0/0 0-65535',
      ),
    )
    const asks = (range: string, from: number, to: number) => {
      const cidr = parseCidr(range)
      if (!cidr) throw new Error(range)
      const { some, all } = acls.passes(subnet('NetworkAppA').id, 'in', cidr, { from, to })
      return all ? 'all' : some ? 'some' : 'none'
    }
    expect(asks('10.20.8.0/24', 443, 443)).toBe('none')
    expect(asks('10.20.0.0/20', 443, 443)).toBe('some')
    expect(asks('10.20.8.0/24', 1000, 1100)).toBe('some')
    expect(asks('10.20.8.0/24', 1024, 2000)).toBe('all')
    expect(asks('10.20.16.0/24', 22, 2000)).toBe('all')
    expect(asks('10.20.16.0/24', answerPorts.from, answerPorts.to)).toBe('some')
    expect(asks('10.0.0.0/8', 100, 100)).toBe('some')
    expect(asks('192.0.2.0/24', 100, 100)).toBe('none')
  })
})

describe('the policy of an endpoint', () => {
  const endpoint = (part: string) =>
    graph.ofType('AWS::EC2::VPCEndpoint').find(({ logicalId }) => logicalId.includes(part)) as Resource
  const withPolicy = (part: string, PolicyDocument: unknown) => {
    const one = endpoint(part)
    return graph.with({ ...one, properties: { ...one.properties, PolicyDocument } })
  }
  const allow = { Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' }

  test.each(['S3', 'Kms'])('of %s denies other accounts, and is named', (part) => {
    const { denied, unasked } = proveReachability(graph, blueprint)
    expect(unasked).toEqual([])
    const elsewhere = denied.find(({ from, to }) => from === 'service:wallet' && to === 'other-accounts')
    expect(elsewhere?.because).toBe('the policy of the endpoint admits the own account only')
    expect(endpoint(part).properties.PolicyDocument).toBeDefined()
  })

  test.each([
    ['none', undefined],
    ['one that admits everybody', { Statement: [allow] }],
    [
      'one that speaks of something else',
      { Statement: [{ ...allow, Condition: { Bool: { 'aws:SecureTransport': 'true' } } }] },
    ],
  ])('that is %s opens a way to other accounts', (_, document) => {
    for (const part of ['S3', 'Kms']) {
      const ways = proveReachability(withPolicy(part, document), blueprint).unasked.map(
        ({ from, to }) => `${from} ${to}`,
      )
      expect(ways).toContain('service:wallet other-accounts')
    }
  })

  test('that refuses the own account closes the way, though every group and route is open', () => {
    const Condition = { StringEquals: { 'aws:PrincipalAccount': '999999999999' } }
    const closed = closedIn(withPolicy('Secretsmanager', { Statement: [{ ...allow, Condition }] }))
    expect(closed).toContain(
      `service:wallet endpoints: the policy of the endpoint refuses it, in part (${endpoint('Secretsmanager').id})`,
    )
    expect(closedIn(withPolicy('S3', { Statement: [{ ...allow, Condition }] }))).toContain(
      `service:wallet objects: the policy of the endpoint refuses it (${endpoint('S3').id})`,
    )
    const denying = { Statement: [allow, { ...allow, Effect: 'Deny' }] }
    expect(closedIn(withPolicy('S3', denying))).toContain(
      `service:wallet objects: the policy of the endpoint refuses it (${endpoint('S3').id})`,
    )
  })
})

test('every way that is not open says which element denies it', () => {
  const { denied } = proveReachability(graph, blueprint)
  expect(denied.length).toBeGreaterThan(500)
  const nameless = denied.filter(({ because, at }) => because === '' || !graph.find(at))
  expect(nameless).toEqual([])
})
