/**
 * Where a packet goes: followed from subnet to subnet through firewalls and NAT, and the answer back. A route to the
 * range of one subnet beats the VPC's own, as AWS does it.
 */

import { at } from '../check/rule.ts'
import { type Cidr, contains, parseCidr } from '../plan/cidr.ts'
import type { Resource, TemplateGraph } from '../template/template-graph.ts'

export interface Walk {
  /** Routes and what they led through, in order. */
  readonly by: readonly string[]
  /** Subnets on the way, after the first. */
  readonly through: readonly string[]
  /** Firewalls on the way. */
  readonly inspectedBy: readonly string[]
}

export interface DeadEnd {
  readonly because: string
  readonly at: string
}

interface Table {
  readonly id: string
  /** The most specific first. */
  readonly routes: readonly (Resource & { readonly range: Cidr })[]
  /** What a gateway of the old site writes into it by itself. */
  readonly propagation: string | undefined
  /** Gateways of S3 that stand in it. */
  readonly gateways: readonly Resource[]
}

/** An address that nobody keeps for himself stands for the internet (RFC 1122: 8.0.0.0/8 is unicast). */
export const somewhere: Cidr = { base: 8 * 2 ** 24 + 0x08_08_08, prefix: 32 }

const emptyWalk: Walk = { by: [], through: [], inspectedBy: [] }

export class RouteTables {
  readonly #graph: TemplateGraph
  readonly #tables = new Map<string, Table>()
  readonly #tableOf = new Map<string, string>()
  readonly #ranges: ReadonlyMap<string, Cidr>

  constructor(graph: TemplateGraph) {
    this.#graph = graph
    this.#ranges = new Map(
      graph.ofType('AWS::EC2::Subnet').flatMap(({ id, properties }) => {
        const range = parseCidr(String(properties.CidrBlock))
        return range ? [[id, range] as const] : []
      }),
    )
    for (const { properties } of graph.ofType('AWS::EC2::SubnetRouteTableAssociation')) {
      const table = graph.named(properties.RouteTableId)[0]
      for (const { id } of graph.named(properties.SubnetId)) if (table) this.#tableOf.set(id, table.id)
    }
    this.#readTables()
  }

  rangeOf(subnet: string): Cidr | undefined {
    return this.#ranges.get(subnet)
  }

  /** To an address of the internet, and whether the answer finds its way back by the same firewalls. */
  out(subnet: string, target: Cidr, isPublic: boolean): Walk | DeadEnd {
    return this.#follow({ subnet, target, isPublic, walk: emptyWalk, natSubnet: undefined, source: subnet })
  }

  /** From the internet: only to what has public addresses, in a subnet that the internet gateway serves. */
  in(subnet: string, isPublic: boolean): Walk | DeadEnd {
    const table = this.#table(subnet)
    if (!isPublic) return { because: 'it has no public address', at: subnet }
    const route = table?.routes.find(({ range, properties }) => range.prefix === 0 && properties.GatewayId)
    return route ? { ...emptyWalk, by: [route.id] } : { because: 'no route', at: table?.id ?? subnet }
  }

  /** Both ways need it: an answer must return. */
  site(subnet: string, networks: readonly Cidr[]): Walk | DeadEnd {
    const table = this.#table(subnet)
    const toHub = table?.routes.find(
      ({ range, properties }) => properties.TransitGatewayId && networks.some((network) => contains(range, network)),
    )
    const by = table?.propagation ?? toHub?.id
    return by ? { ...emptyWalk, by: [by] } : { because: 'no route', at: table?.id ?? subnet }
  }

  /** To S3 by its gateway. */
  objects(subnet: string): { readonly endpoint: Resource } | DeadEnd {
    const table = this.#table(subnet)
    const endpoint = table?.gateways[0]
    return endpoint ? { endpoint } : { because: 'no route', at: table?.id ?? subnet }
  }

  #table(subnet: string): Table | undefined {
    return this.#tables.get(this.#tableOf.get(subnet) ?? '')
  }

  #follow(step: Step): Walk | DeadEnd {
    const { subnet, target, walk, isPublic } = step
    const table = this.#table(subnet)
    const route = table?.routes.find(({ range }) => contains(range, target))
    if (!route) return { because: 'no route', at: table?.id ?? subnet }
    if (walk.by.includes(route.id)) return { because: 'routes lead in a circle', at: route.id }
    const [next] = this.#graph.named(
      route.properties.GatewayId ?? route.properties.NatGatewayId ?? route.properties.VpcEndpointId,
    )
    const by = [...walk.by, route.id]
    switch (next?.type) {
      case 'AWS::EC2::InternetGateway':
        return isPublic
          ? this.#answered({ ...step, walk: { ...walk, by } })
          : { because: 'it has no public address', at: subnet }
      case 'AWS::EC2::NatGateway': {
        const through = this.#graph.named(next.properties.SubnetId)[0]?.id ?? ''
        const passed = { ...walk, by: [...by, next.id], through: [...walk.through, through] }
        return this.#follow({ ...step, subnet: through, isPublic: true, natSubnet: through, walk: passed })
      }
      case 'AWS::NetworkFirewall::Firewall':
        return this.#follow({ ...step, ...this.#inspect(next, { ...walk, by }) })
      default:
        return { because: 'the route leads nowhere', at: route.id }
    }
  }

  #inspect(firewall: Resource, walk: Walk): { readonly subnet: string; readonly walk: Walk } {
    const subnet = this.#graph.named(at(firewall.properties, 'SubnetMappings.0.SubnetId'))[0]?.id ?? ''
    return {
      subnet,
      walk: {
        by: [...walk.by, firewall.id],
        through: [...walk.through, subnet],
        inspectedBy: [...walk.inspectedBy, firewall.id],
      },
    }
  }

  /** A firewall drops the answer to a question that it did not see, and its rules never see an answer that goes around. */
  #answered({ source, natSubnet, walk }: Step): Walk | DeadEnd {
    const home = this.#ranges.get(source)
    if (!natSubnet || !home) return walk
    const back = this.#back(natSubnet, home)
    const isSame = back.inspectedBy.toReversed().join() === walk.inspectedBy.join()
    if (isSame) return { ...walk, by: [...walk.by, ...back.by] }
    return {
      because: 'the answer does not come back through the same firewall',
      at: this.#table(natSubnet)?.id ?? natSubnet,
    }
  }

  #back(subnet: string, home: Cidr, walk: Walk = emptyWalk): Walk {
    const route = this.#table(subnet)?.routes.find(({ range }) => range.prefix > 0 && contains(range, home))
    const [next] = this.#graph.named(route?.properties.VpcEndpointId)
    if (!route || next?.type !== 'AWS::NetworkFirewall::Firewall' || walk.by.includes(route.id)) return walk
    const step = this.#inspect(next, { ...walk, by: [...walk.by, route.id] })
    return this.#back(step.subnet, home, step.walk)
  }

  #readTables(): void {
    const graph = this.#graph
    const tableIn = (resource: Resource) => graph.named(resource.properties.RouteTableId)[0]?.id
    const routes = Map.groupBy(graph.ofType('AWS::EC2::Route'), tableIn)
    const propagations = graph.ofType('AWS::EC2::VPNGatewayRoutePropagation')
    const gateways = graph
      .ofType('AWS::EC2::VPCEndpoint')
      .filter(({ properties }) => properties.VpcEndpointType === 'Gateway')
    const namesTable = (id: string) => (resource: Resource) =>
      graph.named(resource.properties.RouteTableIds).some((table) => table.id === id)
    for (const { id } of graph.ofType('AWS::EC2::RouteTable')) {
      const own = (routes.get(id) ?? []).flatMap((route) => {
        const range = parseCidr(String(route.properties.DestinationCidrBlock))
        return range ? [{ ...route, range }] : []
      })
      this.#tables.set(id, {
        id,
        routes: own.toSorted((a, b) => b.range.prefix - a.range.prefix),
        propagation: propagations.find(namesTable(id))?.id,
        gateways: gateways.filter(namesTable(id)),
      })
    }
  }
}

interface Step {
  readonly subnet: string
  readonly target: Cidr
  readonly isPublic: boolean
  readonly walk: Walk
  readonly natSubnet: string | undefined
  /** The subnet that the packet set out from. */
  readonly source: string
}

export function isDeadEnd(walk: object): walk is DeadEnd {
  return 'because' in walk
}
