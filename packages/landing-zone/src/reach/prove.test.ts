import { beforeAll, describe, expect, test } from 'vitest'
import { type Resource, TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { proveReachability, reachabilityFindings } from './prove.ts'

/** Goal: a way that is opened or closed by mistake is found. Method: the real templates with one resource changed. */
const blueprint = walletBlueprint()
let graph: TemplateGraph
beforeAll(() => {
  graph = graphOf(blueprint)
}, patienceMs)

const named = (part: string): Resource => {
  const found = graph.resources.find(({ logicalId }) => logicalId.includes(part))
  if (!found) throw new Error(`There is no ${part}.`)
  return found
}
const changed = (resource: Resource, properties: object): TemplateGraph =>
  graph.with({ ...resource, properties: { ...resource.properties, ...properties } })

describe('opened by mistake', () => {
  test('a rule that names everybody', () => {
    const rule = named('ServiceWalletToStoreLedger6432In')
    const { SourceSecurityGroupId: _, ...rest } = rule.properties
    const open = graph.with({ ...rule, properties: { ...rest, CidrIp: '0.0.0.0/0' } })
    const { unasked } = proveReachability(open, blueprint)
    // The machine of another service has no rule out to it, and the internet has no route to a data subnet.
    expect(unasked).toEqual([])
    const { closed } = proveReachability(open, blueprint)
    expect(closed).toEqual([])
  })

  test('a rule out to everybody, with a rule in from everybody', () => {
    const into = named('ServiceWalletToStoreLedger6432In')
    const out = named('ServiceMerchantsToStoreMerchants6306Out')
    const wide = changed(into, { SourceSecurityGroupId: undefined, CidrIp: '10.20.0.0/16' }).with({
      ...out,
      properties: {
        ...out.properties,
        FromPort: 6000,
        ToPort: 6999,
        DestinationSecurityGroupId: undefined,
        CidrIp: '10.20.0.0/16',
      },
    })
    const ways = proveReachability(wide, blueprint).unasked.map(({ from, to, port }) => `${from} ${to} ${port}`)
    expect(ways).toContain('service:merchants store:ledger 6432')
    expect(reachabilityFindings(proveReachability(wide, blueprint)).map(({ id }) => id)).toContain(
      'landing-zone.path-unasked',
    )
  })

  test('a balancer of an inner service that faces the internet', () => {
    const balancer = named('WalletBalancer')
    const publicSubnets = graph
      .ofType('AWS::EC2::Subnet')
      .filter(({ logicalId }) => logicalId.startsWith('NetworkPublic'))
    const rule = named('ServiceGatewayToBalancerWallet443In')
    const { SourceSecurityGroupId: _, ...rest } = rule.properties
    const open = changed(balancer, {
      Scheme: 'internet-facing',
      Subnets: publicSubnets.map(({ id }) => `«${id}»`),
    }).with({
      ...rule,
      properties: { ...rest, CidrIp: '0.0.0.0/0' },
    })
    const ways = proveReachability(open, blueprint).unasked.map(({ from, to }) => `${from} ${to}`)
    expect(ways).toContain('internet balancer:wallet')
  })
})

describe('closed by mistake', () => {
  test('a rule that is gone says who refuses', () => {
    const rule = named('ServiceWalletToStoreSessions6380In')
    const { closed } = proveReachability(changed(rule, { FromPort: 1, ToPort: 1 }), blueprint)
    expect(closed).toMatchObject([
      { from: 'service:wallet', to: 'store:sessions', because: 'no rule of store:sessions lets it in' },
    ])
  })

  test('a route that is gone', () => {
    const routes = graph.ofType('AWS::EC2::Route').filter(({ properties }) => properties.NatGatewayId)
    const without = new TemplateGraph(graph.resources.filter((resource) => !routes.includes(resource)))
    const { closed } = proveReachability(without, blueprint)
    expect(closed).toMatchObject([{ from: 'service:merchants', to: 'partners', because: 'no route' }])
  })

  test('routes to the old site that are gone', () => {
    const propagation = graph.ofType('AWS::EC2::VPNGatewayRoutePropagation')
    const without = new TemplateGraph(graph.resources.filter((resource) => !propagation.includes(resource)))
    const ends = proveReachability(without, blueprint).closed.map(({ from, to }) => `${from} ${to}`)
    expect(ends).toContain('migration on-premises')
    expect(ends).toContain('on-premises balancer:gateway')
  })
})
