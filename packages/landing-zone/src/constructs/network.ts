import { Fn } from 'aws-cdk-lib'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint, Tier } from '../plan/blueprint.ts'
import { serving } from './serving.ts'

interface PlacedSubnet {
  readonly tier: Tier
  readonly zone: string
  readonly resource: ec2.CfnSubnet
  readonly routeTable: ec2.CfnRouteTable
}

/**
 * The VPC in three tiers over its zones. Public subnets hold balancers and NAT only, app subnets what calls out, data
 * subnets have no way out at all. Each subnet has a route table of its own, so that a change is a change of one place.
 */
export class Network extends Construct {
  readonly vpc: ec2.CfnVPC
  readonly #subnets: readonly PlacedSubnet[]
  readonly #natGateways: ec2.CfnNatGateway[] = []

  constructor(scope: Construct, { settings, subnets, natZones, services }: Blueprint) {
    super(scope, 'Network')
    serving(this, 'network.closed', 'availability.zones')
    this.vpc = new ec2.CfnVPC(this, 'Vpc', {
      cidrBlock: settings.network,
      enableDnsSupport: true,
      enableDnsHostnames: true,
    })
    const zones = [...new Set(subnets.map(({ zone }) => zone))]
    this.#subnets = subnets.map((subnet) => this.#place(subnet, zoneName(zones.indexOf(subnet.zone))))
    const needsInternet = services.some(({ from, egress = [] }) => from.includes('internet') || egress.length > 0)
    if (needsInternet) this.#openToInternet(natZones)
  }

  subnetIds(tier: Tier): string[] {
    return this.#of(tier).map(({ resource }) => resource.ref)
  }

  /** Of all tiers: what is lost with the n-th zone. */
  subnetIdsOfZone(index: number): string[] {
    const zones = [...new Set(this.#subnets.map(({ zone }) => zone))]
    return this.#subnets.filter(({ zone }) => zone === zones[index]).map(({ resource }) => resource.ref)
  }

  /** None where nothing calls out. */
  get natGatewayIds(): string[] {
    return this.#natGateways.map(({ ref }) => ref)
  }

  routeTableIds(...tiers: readonly Tier[]): string[] {
    return tiers.flatMap((tier) => this.#of(tier).map(({ routeTable }) => routeTable.ref))
  }

  #of(tier: Tier): PlacedSubnet[] {
    return this.#subnets.filter((subnet) => subnet.tier === tier)
  }

  #place({ tier, zone, cidr }: Blueprint['subnets'][number], availabilityZone: string): PlacedSubnet {
    const id = `${pascal(tier)}${zone.slice(-1).toUpperCase()}`
    const resource = new ec2.CfnSubnet(this, id, {
      vpcId: this.vpc.ref,
      availabilityZone,
      cidrBlock: cidr,
      mapPublicIpOnLaunch: false,
      tags: [{ key: 'Name', value: `${tier}-${zone}` }],
    })
    const routeTable = new ec2.CfnRouteTable(this, `${id}Routes`, { vpcId: this.vpc.ref })
    new ec2.CfnSubnetRouteTableAssociation(this, `${id}Association`, {
      subnetId: resource.ref,
      routeTableId: routeTable.ref,
    })
    return { tier, zone, resource, routeTable }
  }

  /** In by the gateway for balancers, out by NAT for what services name as egress. */
  #openToInternet(natZones: readonly string[]): void {
    const gateway = new ec2.CfnInternetGateway(this, 'InternetGateway')
    const attachment = new ec2.CfnVPCGatewayAttachment(this, 'InternetGatewayAttachment', {
      vpcId: this.vpc.ref,
      internetGatewayId: gateway.ref,
    })
    for (const { routeTable } of this.#of('public')) {
      const route = new ec2.CfnRoute(routeTable, 'Internet', {
        routeTableId: routeTable.ref,
        destinationCidrBlock: '0.0.0.0/0',
        gatewayId: gateway.ref,
      })
      route.addResourceDependency(attachment)
    }
    const gateways = new Map(natZones.map((zone) => [zone, this.#nat(zone)]))
    for (const { zone, routeTable } of this.#of('app')) {
      const nat = gateways.get(zone) ?? [...gateways.values()][0]
      if (!nat) continue
      serving(routeTable, 'network.egress')
      new ec2.CfnRoute(routeTable, 'Out', {
        routeTableId: routeTable.ref,
        destinationCidrBlock: '0.0.0.0/0',
        natGatewayId: nat.ref,
      })
    }
  }

  #nat(zone: string): ec2.CfnNatGateway {
    const subnet = this.#of('public').find((candidate) => candidate.zone === zone) as PlacedSubnet
    const scope = serving(new Construct(this, `Nat${zone.slice(-1).toUpperCase()}`), 'network.egress')
    const address = new ec2.CfnEIP(scope, 'Address', { domain: 'vpc' })
    const gateway = new ec2.CfnNatGateway(scope, 'Gateway', {
      subnetId: subnet.resource.ref,
      allocationId: address.attrAllocationId,
    })
    this.#natGateways.push(gateway)
    return gateway
  }
}

/** The account's own name of its n-th zone: letters stand for other buildings in other accounts. */
export function zoneName(index: number): string {
  return Fn.select(index, Fn.getAzs())
}

export function pascal(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}
