import type { DirectConnect, OnPremises } from '@replatform/core/landing-zone-estate'
import { expect, test } from 'vitest'
import { proveReachability } from '../reach/prove.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'

/** Goal: a line is joined to what it must reach, and a hosted one is not ordered twice. Method: the templates of both. */
const line = { location: 'EqSG2', vlan: 100, reason: 'Full loads fit into a night.' }
const withLine = (directConnect: DirectConnect) => {
  const blueprint = walletBlueprint({
    change: (zone) => ({ ...zone, onPremises: { ...(zone.onPremises as OnPremises), directConnect } }),
  })
  return { blueprint, graph: graphOf(blueprint) }
}

test(
  'tunnels and line join the table of their transit gateway, which is the environment’s own',
  () => {
    const { blueprint, graph } = withLine({ ...line, connection: 'dedicated', bandwidth: '10Gbps', macsec: true })
    const [gateway] = graph.ofType('AWS::EC2::TransitGateway')
    expect(gateway?.properties).toMatchObject({
      DefaultRouteTableAssociation: 'enable',
      DefaultRouteTablePropagation: 'enable',
      AutoAcceptSharedAttachments: 'disable',
    })
    const tunnels = graph.ofType('AWS::EC2::VPNConnection')
    expect(tunnels.map(({ properties }) => graph.named(properties.TransitGatewayId)[0])).toEqual([gateway, gateway])
    expect(graph.ofType('AWS::DirectConnect::Connection')[0]?.properties).toMatchObject({ RequestMACSec: true })
    const { closed, unasked } = proveReachability(graph, blueprint)
    expect({ closed, unasked }).toEqual({ closed: [], unasked: [] })
  },
  patienceMs,
)

test(
  'a hosted connection is made by its partner: its id is asked for',
  () => {
    const { graph } = withLine({ ...line, connection: 'hosted', bandwidth: '500Mbps' })
    expect(graph.ofType('AWS::DirectConnect::Connection')).toEqual([])
    const [interface_] = graph.ofType('AWS::DirectConnect::TransitVirtualInterface')
    expect(interface_?.properties.ConnectionId).toBe('«network.HostedConnectionId»')
  },
  patienceMs,
)
