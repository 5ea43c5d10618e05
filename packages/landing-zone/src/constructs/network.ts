import { Fn } from 'aws-cdk-lib'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint, Tier } from '../plan/blueprint.ts'
import { everywhere } from '../plan/cidr.ts'
import { closeDataTier } from './data-tier-lock.ts'
import { serving } from './serving.ts'

export interface PlacedSubnet {
  readonly tier: Tier
  readonly zone: string
  readonly cidr: string
  readonly resource: ec2.CfnSubnet
  readonly routeTable: ec2.CfnRouteTable
}

/**
 * The VPC in tiers over its zones. Public subnets hold balancers only, app subnets what calls out, data subnets have no
 * way out at all and admit the two inner tiers only, whatever a security group says. Each subnet has a route table of
 * its own, so that a change is a change of one place.
 */
export class Network extends Construct {
  readonly vpc: ec2.CfnVPC
  readonly #subnets: readonly PlacedSubnet[]

  constructor(scope: Construct, { settings, zones, subnets, services, natZones, stores }: Blueprint) {
    super(scope, 'Network')
    serving(this, 'network.closed', 'availability.zones')
    this.vpc = new ec2.CfnVPC(this, 'Vpc', {
      cidrBlock: settings.network,
      enableDnsSupport: true,
      enableDnsHostnames: true,
    })
    this.#subnets = subnets.map((subnet) => this.#place(subnet, zoneName(zones.indexOf(subnet.zone))))
    const isOpen = services.some(({ from }) => from.includes('internet'))
    if (isOpen || natZones.length > 0) this.#openToInternet()
    closeDataTier(this, settings.network, stores)
  }

  subnetIds(tier: Tier): string[] {
    return this.placed(tier).map(({ resource }) => resource.ref)
  }

  /** Of all tiers: what is lost with the n-th zone. */
  subnetIdsOfZone(index: number): string[] {
    const zones = [...new Set(this.#subnets.map(({ zone }) => zone))]
    return this.#subnets.filter(({ zone }) => zone === zones[index]).map(({ resource }) => resource.ref)
  }

  routeTableIds(...tiers: readonly Tier[]): string[] {
    return tiers.flatMap((tier) => this.placed(tier).map(({ routeTable }) => routeTable.ref))
  }

  placed(tier: Tier): PlacedSubnet[] {
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
    return { tier, zone, cidr, resource, routeTable }
  }

  /** For balancers that everybody may reach, and for NAT. */
  #openToInternet(): void {
    const gateway = new ec2.CfnInternetGateway(this, 'InternetGateway')
    const attachment = new ec2.CfnVPCGatewayAttachment(this, 'InternetGatewayAttachment', {
      vpcId: this.vpc.ref,
      internetGatewayId: gateway.ref,
    })
    for (const { routeTable } of [...this.placed('public'), ...this.placed('nat')]) {
      const route = new ec2.CfnRoute(routeTable, 'Internet', {
        routeTableId: routeTable.ref,
        destinationCidrBlock: everywhere,
        gatewayId: gateway.ref,
      })
      route.addResourceDependency(attachment)
    }
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
