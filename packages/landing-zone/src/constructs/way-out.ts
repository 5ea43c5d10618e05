import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { everywhere } from '../plan/cidr.ts'
import type { EgressFirewall } from './egress-firewall.ts'
import type { Network, PlacedSubnet } from './network.ts'
import { serving } from './serving.ts'

/**
 * Out by NAT for what services name as egress: each app subnet by the gateway of its own zone, or by the only one. With
 * a firewall the way is app → its endpoint → NAT → internet, and the answer comes back through the same endpoint: it
 * drops what belongs to no conversation that it saw begin.
 */
export class WayOut extends Construct {
  readonly gatewayIds: string[]

  constructor(scope: Construct, { natZones }: Blueprint, network: Network, firewall: EgressFirewall | undefined) {
    super(scope, 'WayOut')
    serving(this, 'network.egress')
    const gateways = new Map(network.placed('nat').map((subnet) => [subnet.zone, this.#gateway(subnet)]))
    this.gatewayIds = [...gateways.values()].map(({ ref }) => ref)
    const ownOrOnly = (zone: string) => (gateways.has(zone) ? zone : (natZones[0] as string))
    for (const app of network.placed('app')) {
      const zone = ownOrOnly(app.zone)
      const target = firewall
        ? { vpcEndpointId: firewall.endpointId(zone) }
        : { natGatewayId: (gateways.get(zone) as ec2.CfnNatGateway).ref }
      this.#route(app, everywhere, target)
      const back = firewall && network.placed('nat').find((subnet) => subnet.zone === zone)
      // The range of one subnet is more specific than the VPC's own: the only such routes that AWS accepts.
      if (back) this.#route(back, app.cidr, target)
    }
    for (const subnet of network.placed('firewall')) {
      this.#route(subnet, everywhere, { natGatewayId: (gateways.get(subnet.zone) as ec2.CfnNatGateway).ref })
    }
  }

  #gateway({ zone, resource }: PlacedSubnet): ec2.CfnNatGateway {
    const scope = new Construct(this, `Nat${letter(zone)}`)
    const address = new ec2.CfnEIP(scope, 'Address', { domain: 'vpc' })
    return new ec2.CfnNatGateway(scope, 'Gateway', {
      subnetId: resource.ref,
      allocationId: address.attrAllocationId,
    })
  }

  #route(
    { tier, zone, routeTable }: PlacedSubnet,
    destinationCidrBlock: string,
    target: { readonly natGatewayId: string } | { readonly vpcEndpointId: string },
  ): void {
    const to = destinationCidrBlock === everywhere ? 'Out' : `Back${destinationCidrBlock.replaceAll(/\W/g, 'x')}`
    new ec2.CfnRoute(this, `${tier}${letter(zone)}${to}`, {
      routeTableId: routeTable.ref,
      destinationCidrBlock,
      ...target,
    })
  }
}

function letter(zone: string): string {
  return zone.slice(-1).toUpperCase()
}
