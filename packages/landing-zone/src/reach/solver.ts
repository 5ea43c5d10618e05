/**
 * Which ways the templates open, solved from groups and routes, and for every other one what denies it. Ends outside
 * are `internet` and `on-premises`; a way within the VPC needs no route, a way out or in does.
 */
import { type Cidr, contains, parseCidr } from '../plan/cidr.ts'
import type { Properties, Resource, TemplateGraph } from '../template/template-graph.ts'
import { type Place, placesOf } from './places.ts'

export interface Way {
  readonly from: string
  readonly to: string
  readonly port: number
}

export interface OpenWay extends Way {
  /** The rules and routes that open it. */
  readonly by: readonly string[]
}

export interface DeniedWay extends Way {
  /** The first thing that refuses it. */
  readonly because: string
}

export interface Reachability {
  readonly open: readonly OpenWay[]
  readonly denied: readonly DeniedWay[]
}

interface Rule {
  readonly id: string
  readonly group: string
  readonly direction: 'in' | 'out'
  readonly from: number
  readonly to: number
  readonly peerGroup: string | undefined
  readonly peerRanges: readonly Cidr[]
}

/** An address that nobody keeps for himself stands for the internet (RFC 1122: 8.0.0.0/8 is unicast). */
const somewhere: Cidr = { base: 8 * 2 ** 24 + 0x08_08_08, prefix: 32 }

/** Ports are those that any rule names: on all others every way is denied for want of a rule. */
export function solve(graph: TemplateGraph, siteNetworks: readonly string[]): Reachability {
  const rules = rulesOf(graph)
  const places = placesOf(graph)
  const ports = [...new Set(rules.map(({ from }) => from))].toSorted((a, b) => a - b)
  const solver = new Solver(graph, rules, siteNetworks)
  const results = ports.flatMap((port) => [
    ...places.flatMap((from) => places.filter((to) => to !== from).map((to) => solver.inside(from, to, port))),
    ...places.flatMap((place) => solver.outside(place, port)),
  ])
  return {
    open: distinct(results.filter(isOpen)),
    denied: distinct(results.filter((way) => !isOpen(way)) as DeniedWay[]),
  }
}

function isOpen(way: OpenWay | DeniedWay): way is OpenWay {
  return 'by' in way
}

class Solver {
  readonly #graph: TemplateGraph
  readonly #rules: readonly Rule[]
  readonly #site: readonly Cidr[]
  readonly #routes = new Map<string, readonly Resource[]>()
  readonly #ranges = new Map<string, readonly Cidr[]>()

  constructor(graph: TemplateGraph, rules: readonly Rule[], siteNetworks: readonly string[]) {
    this.#graph = graph
    this.#rules = rules
    this.#site = siteNetworks.flatMap((text) => parseCidr(text) ?? [])
  }

  inside(from: Place, to: Place, port: number): OpenWay | DeniedWay {
    const way = { from: from.party, to: to.party, port }
    const out = this.#rule(from, 'out', port, to.securityGroups, this.#rangesOf(to))
    if (!out) return { ...way, because: `no rule lets ${from.party} out to it` }
    const into = this.#rule(to, 'in', port, from.securityGroups, this.#rangesOf(from))
    if (!into) return { ...way, because: `no rule of ${to.party} lets it in` }
    return { ...way, by: [out.id, into.id] }
  }

  outside(place: Place, port: number): (OpenWay | DeniedWay)[] {
    const ends = [
      {
        name: 'internet',
        ranges: [somewhere],
        inRoute: this.#publicRoute(place),
        outRoute: this.#defaultRoute(place),
      },
      ...(this.#site.length > 0
        ? [
            {
              name: 'on-premises',
              ranges: this.#site,
              inRoute: this.#siteRoute(place),
              outRoute: this.#siteRoute(place),
            },
          ]
        : []),
    ]
    return ends.flatMap(({ name, ranges, inRoute, outRoute }) => [
      this.#through({ from: name, to: place.party, port }, this.#rule(place, 'in', port, [], ranges), inRoute),
      this.#through({ from: place.party, to: name, port }, this.#rule(place, 'out', port, [], ranges), outRoute),
    ])
  }

  #through(way: Way, rule: Rule | undefined, route: string | undefined): OpenWay | DeniedWay {
    if (!rule) return { ...way, because: 'no rule' }
    return route ? { ...way, by: [rule.id, route] } : { ...way, because: 'no route' }
  }

  #rule(
    place: Place,
    direction: Rule['direction'],
    port: number,
    peers: readonly string[],
    ranges: readonly Cidr[],
  ): Rule | undefined {
    return this.#rules.find(
      (rule) =>
        rule.direction === direction &&
        place.securityGroups.includes(rule.group) &&
        rule.from <= port &&
        port <= rule.to &&
        (rule.peerGroup ? peers.includes(rule.peerGroup) : ranges.some((range) => reaches(rule, range))),
    )
  }

  #rangesOf({ id, subnets }: Place): readonly Cidr[] {
    return remembered(this.#ranges, id, () => this.#readRanges(subnets))
  }

  #readRanges(subnets: readonly string[]): Cidr[] {
    return subnets.flatMap((id) => parseCidr(String(this.#graph.find(id)?.properties.CidrBlock)) ?? [])
  }

  /** Only a place that has public addresses, in a subnet with a route to the internet gateway. */
  #publicRoute(place: Place): string | undefined {
    if (!place.isPublic) return undefined
    return this.#routesOf(place).find(({ properties }) => isDefault(properties) && properties.GatewayId)?.id
  }

  #defaultRoute(place: Place): string | undefined {
    const usable = ({ NatGatewayId, GatewayId }: Properties) => NatGatewayId || (GatewayId && place.isPublic)
    return this.#routesOf(place).find(({ properties }) => isDefault(properties) && usable(properties))?.id
  }

  /** Propagated by the private gateway, or written towards a transit gateway. Both ways need it: an answer must return. */
  #siteRoute(place: Place): string | undefined {
    const tables = this.#tablesOf(place)
    const propagation = this.#graph
      .ofType('AWS::EC2::VPNGatewayRoutePropagation')
      .find(({ properties }) => this.#graph.named(properties.RouteTableIds).some(({ id }) => tables.includes(id)))
    const towardsHub = this.#routesOf(place).find(({ properties }) => properties.TransitGatewayId)
    return propagation?.id ?? towardsHub?.id
  }

  #tablesOf({ subnets }: Place): string[] {
    return this.#graph
      .ofType('AWS::EC2::SubnetRouteTableAssociation')
      .filter(({ properties }) => this.#graph.named(properties.SubnetId).some(({ id }) => subnets.includes(id)))
      .flatMap(({ properties }) => this.#graph.named(properties.RouteTableId).map(({ id }) => id))
  }

  #routesOf(place: Place): readonly Resource[] {
    return remembered(this.#routes, place.id, () => this.#readRoutes(place))
  }

  #readRoutes(place: Place): Resource[] {
    const tables = this.#tablesOf(place)
    return this.#graph
      .ofType('AWS::EC2::Route')
      .filter(({ properties }) => this.#graph.named(properties.RouteTableId).some(({ id }) => tables.includes(id)))
  }
}

function remembered<Value>(known: Map<string, Value>, key: string, read: () => Value): Value {
  const value = known.get(key) ?? read()
  known.set(key, value)
  return value
}

function isDefault({ DestinationCidrBlock }: Properties): boolean {
  return DestinationCidrBlock === '0.0.0.0/0'
}

/** Rules of their own and those written into a group; a network ACL of the user's would have to be read as well. */
function rulesOf(graph: TemplateGraph): Rule[] {
  const own = graph
    .ofType('AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SecurityGroupEgress')
    .map(({ id, type, properties }) =>
      ruleOf(
        graph,
        id,
        graph.named(properties.GroupId)[0]?.id ?? '',
        type.endsWith('Ingress') ? 'in' : 'out',
        properties,
      ),
    )
  const written = graph
    .ofType('AWS::EC2::SecurityGroup')
    .flatMap(({ id, properties }) => [
      ...lines(properties.SecurityGroupIngress).map((line) => ruleOf(graph, id, id, 'in', line)),
      ...lines(properties.SecurityGroupEgress).map((line) => ruleOf(graph, id, id, 'out', line)),
    ])
  return [...own, ...written].filter(({ to }) => to >= 0)
}

function lines(value: unknown): readonly Properties[] {
  return Array.isArray(value) ? value : []
}

function reaches({ peerRanges }: Rule, range: Cidr): boolean {
  return peerRanges.some((peer) => contains(peer, range))
}

function prefixList(graph: TemplateGraph, { DestinationPrefixListId, SourcePrefixListId }: Properties): Cidr[] {
  const list = graph.named(DestinationPrefixListId ?? SourcePrefixListId)[0]
  return rangesIn(lines(list?.properties.Entries).map(({ Cidr }) => String(Cidr)))
}

function rangesIn(texts: readonly string[]): Cidr[] {
  return texts.flatMap((text) => parseCidr(text) ?? [])
}

function ruleOf(
  graph: TemplateGraph,
  id: string,
  group: string,
  direction: Rule['direction'],
  properties: Properties,
): Rule {
  const { IpProtocol, FromPort, ToPort, CidrIp } = properties
  const isAll = String(IpProtocol) === '-1'
  const isTcp = isAll || IpProtocol === 'tcp'
  const peer = graph.named(properties.SourceSecurityGroupId ?? properties.DestinationSecurityGroupId)[0]?.id
  return {
    id,
    group,
    direction,
    from: isAll ? 0 : Number(FromPort),
    to: isTcp ? (isAll ? 65_535 : Number(ToPort)) : -1,
    peerGroup: peer,
    peerRanges: typeof CidrIp === 'string' ? rangesIn([CidrIp]) : prefixList(graph, properties),
  }
}

/** Places of one party (endpoints, mount targets) give the same answer once; open wins over denied. */
function distinct<Item extends Way>(ways: readonly Item[]): Item[] {
  return [...new Map(ways.map((way) => [`${way.from} ${way.to} ${way.port}`, way])).values()]
}
