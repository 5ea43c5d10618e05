/**
 * Which ways the templates open, solved from security groups, network ACLs, routes, firewalls and the policies of
 * endpoints, and for every other one the element that denies it. Ends outside are `internet`, `on-premises`,
 * `partner:<range>` for every range that a rule names, `objects` (S3 by its gateway) and `other-accounts` (of AWS, by an
 * endpoint). Groups of AWS remember connections; ACLs do not, so answers are solved too.
 */
import { type Cidr, contains, overlaps, parseCidr, privateRanges } from '../plan/cidr.ts'
import { answerPorts, type PortRange } from '../plan/ports.ts'
import type { Resource, TemplateGraph } from '../template/template-graph.ts'
import { admissionOf } from './endpoint-policies.ts'
import { passesFirewall } from './firewall-rules.ts'
import { GroupRules, type Peer } from './group-rules.ts'
import { NetworkAcls } from './network-acls.ts'
import { type Place, placesOf } from './places.ts'
import { type DeadEnd, isDeadEnd, RouteTables, somewhere, type Walk } from './route-tables.ts'

export interface Way {
  readonly from: string
  readonly to: string
  readonly port: number
}

export interface OpenWay extends Way {
  /** The rules, routes and gateways that open it. */
  readonly by: readonly string[]
  /** Firewalls that look at it. */
  readonly inspectedBy: readonly string[]
  /** From some subnet, to some addresses or for some answers it is closed all the same. */
  readonly partly?: DeadEnd
}

/** With the first element that refuses it. */
export interface DeniedWay extends Way, DeadEnd {}

export interface Reachability {
  readonly open: readonly OpenWay[]
  readonly denied: readonly DeniedWay[]
}

export interface SolveOptions {
  readonly siteNetworks: readonly string[]
  readonly ownNetwork: string
  readonly account: string
  readonly s3PrefixList: string
}

/** Ports are those that any rule names: on all others every way is denied for want of a rule. */
export function solve(graph: TemplateGraph, options: SolveOptions): Reachability {
  const places = placesOf(graph)
  const solver = new Solver(graph, options)
  const results = solver.ports.flatMap((port) => [
    ...places.flatMap((from) => places.filter((to) => to !== from).flatMap((to) => solver.inside(from, to, port))),
    ...places.flatMap((place) => solver.outside(place, port)),
  ])
  const denied = distinct(results.filter((way) => !isOpen(way)) as DeniedWay[])
  return { open: distinct(results.filter(isOpen)).map((way) => endpointsIn(way, denied)), denied }
}

/** Endpoints are one party and many services: a policy that closes one of them closes a part of the way. */
function endpointsIn(way: OpenWay, denied: readonly DeniedWay[]): OpenWay {
  if (way.to !== 'endpoints' || way.partly) return way
  const shut = denied.find(({ from, to, port }) => from === way.from && to === way.to && port === way.port)
  return shut ? { ...way, partly: { because: shut.because, at: shut.at } } : way
}

/** One pair of subnets, or one subnet and an end outside. */
type Leg = DeadEnd | (Pick<OpenWay, 'by' | 'inspectedBy'> & { readonly partly: DeadEnd | undefined })
type Solved = OpenWay | DeniedWay

function isOpen(way: Solved): way is OpenWay {
  return 'by' in way
}

interface End {
  readonly name: string
  readonly peer: Peer
  readonly ranges: readonly Cidr[]
  readonly in: (subnet: string, place: Place) => Walk | DeadEnd
  readonly out: (subnet: string, place: Place) => Walk | DeadEnd
}

class Solver {
  readonly ports: readonly number[]
  readonly #graph: TemplateGraph
  readonly #options: SolveOptions
  readonly #rules: GroupRules
  readonly #routes: RouteTables
  readonly #acls: NetworkAcls
  readonly #ends: readonly End[]
  readonly #ranges = new Map<string, readonly Cidr[]>()

  constructor(graph: TemplateGraph, options: SolveOptions) {
    this.#graph = graph
    this.#options = options
    this.#rules = new GroupRules(graph)
    this.#routes = new RouteTables(graph)
    this.#acls = new NetworkAcls(graph)
    this.#ends = this.#findEnds()
    this.ports = [...new Set(this.#rules.all.map(({ from }) => from))].toSorted((a, b) => a - b)
  }

  inside(from: Place, to: Place, port: number): Solved[] {
    const way = { from: from.party, to: to.party, port }
    const out = this.#rules.find(from, 'out', port, { groups: to.securityGroups, ranges: this.#rangesOf(to) })
    if (!out) return [{ ...way, because: `no rule lets ${from.party} out to it`, at: groupOf(from) }]
    const into = this.#rules.find(to, 'in', port, { groups: from.securityGroups, ranges: this.#rangesOf(from) })
    if (!into) return [{ ...way, because: `no rule of ${to.party} lets it in`, at: groupOf(to) }]
    const by = [out.id, into.id]
    const endpoint = to.party === 'endpoints' ? this.#graph.find(to.id) : undefined
    const legs = from.subnets.flatMap((a) =>
      to.subnets.map((b) => this.#spoken(this.#across(a, b, port), { by, inspectedBy: [] })),
    )
    return endpoint ? this.#admitted(way, legs, endpoint) : [joined(way, legs)]
  }

  outside(place: Place, port: number): Solved[] {
    return [
      ...this.#ends.flatMap((end) => [this.#fromOutside(end, place, port), this.#toOutside(place, end, port)]),
      ...this.#toObjects(place, port),
    ]
  }

  #fromOutside({ name, peer, ranges, in: follow }: End, place: Place, port: number): Solved {
    const way = { from: name, to: place.party, port }
    const rule = this.#rules.find(place, 'in', port, peer)
    if (!rule) return { ...way, because: 'no rule', at: groupOf(place) }
    const legs = place.subnets.map((subnet) => {
      const walk = follow(subnet, place)
      if (isDeadEnd(walk)) return walk
      const asked = ranges.flatMap((range) => [
        this.#says(subnet, 'in', range, exactly(port)),
        this.#says(subnet, 'out', range, answerPorts),
      ])
      return this.#spoken(asked, { by: [rule.id, ...walk.by], inspectedBy: walk.inspectedBy })
    })
    return joined(way, legs)
  }

  #toOutside(place: Place, { name, peer, ranges, out: follow }: End, port: number): Solved {
    const way = { from: place.party, to: name, port }
    const rule = this.#rules.find(place, 'out', port, peer)
    if (!rule) return { ...way, because: 'no rule', at: groupOf(place) }
    const legs = place.subnets.map((subnet) => {
      const walk = follow(subnet, place)
      if (isDeadEnd(walk)) return walk
      const looked = this.#looked(walk, { target: ranges[0] as Cidr, port, byName: name === 'internet' })
      if (isDeadEnd(looked)) return looked
      const by = [rule.id, ...walk.by, ...looked.by]
      return this.#spoken(this.#along(subnet, walk, ranges, port), { by, inspectedBy: walk.inspectedBy })
    })
    return joined(way, legs)
  }

  #toObjects(place: Place, port: number): Solved[] {
    const way = { from: place.party, to: 'objects', port }
    const peer = { groups: [], ranges: [somewhere], list: this.#options.s3PrefixList }
    const rule = this.#rules.find(place, 'out', port, peer)
    if (!rule) return [{ ...way, because: 'no rule', at: groupOf(place) }]
    const byEndpoint = new Map<Resource | undefined, Leg[]>()
    for (const subnet of place.subnets) {
      const found = this.#routes.objects(subnet)
      const endpoint = isDeadEnd(found) ? undefined : found.endpoint
      const leg = isDeadEnd(found)
        ? found
        : this.#spoken(this.#along(subnet, noWalk, [somewhere], port), {
            by: [rule.id, found.endpoint.id],
            inspectedBy: [],
          })
      byEndpoint.set(endpoint, [...(byEndpoint.get(endpoint) ?? []), leg])
    }
    return [...byEndpoint].flatMap(([endpoint, legs]) =>
      endpoint ? this.#admitted(way, legs, endpoint) : [joined(way, legs)],
    )
  }

  /** What reaches an endpoint reaches what its policy admits: the own account, and hopefully no other. */
  #admitted(way: Way, legs: readonly Leg[], endpoint: Resource): Solved[] {
    const { own, foreign } = admissionOf(endpoint, this.#options.account)
    const elsewhere = { ...way, to: 'other-accounts' }
    return [
      own ? joined(way, legs) : { ...way, because: 'the policy of the endpoint refuses it', at: endpoint.id },
      foreign
        ? joined(elsewhere, legs)
        : { ...elsewhere, because: 'the policy of the endpoint admits the own account only', at: endpoint.id },
    ]
  }

  #looked(walk: Walk, talk: Parameters<typeof passesFirewall>[2]): { readonly by: readonly string[] } | DeadEnd {
    const passed: string[] = []
    for (const id of walk.inspectedBy) {
      const verdict = passesFirewall(this.#graph, this.#graph.find(id) as Resource, talk)
      if (typeof verdict !== 'string') return verdict
      passed.push(verdict)
    }
    return { by: passed }
  }

  /** Both directions at both ends; an ACL does not look at what stays in its subnet. */
  #across(a: string, b: string, port: number) {
    const [rangeA, rangeB] = [this.#routes.rangeOf(a), this.#routes.rangeOf(b)]
    if (a === b || !rangeA || !rangeB) return []
    return [
      this.#says(a, 'out', rangeB, exactly(port)),
      this.#says(b, 'in', rangeA, exactly(port)),
      this.#says(b, 'out', rangeA, answerPorts),
      this.#says(a, 'in', rangeB, answerPorts),
    ]
  }

  /** Out through every subnet on the way, and the answer back. */
  #along(subnet: string, walk: Walk, ranges: readonly Cidr[], port: number) {
    const home = this.#routes.rangeOf(subnet)
    return ranges.flatMap((range) => [
      this.#says(subnet, 'out', range, exactly(port)),
      this.#says(subnet, 'in', range, answerPorts),
      ...walk.through.flatMap((hop) => [
        ...(home ? [this.#says(hop, 'in', home, exactly(port)), this.#says(hop, 'out', home, answerPorts)] : []),
        this.#says(hop, 'out', range, exactly(port)),
        this.#says(hop, 'in', range, answerPorts),
      ]),
    ])
  }

  #says(subnet: string, direction: 'in' | 'out', peer: Cidr, ports: PortRange) {
    return this.#acls.passes(subnet, direction, peer, ports)
  }

  #spoken(passages: readonly ReturnType<NetworkAcls['passes']>[], open: Pick<OpenWay, 'by' | 'inspectedBy'>): Leg {
    const refused = (at: string | undefined): DeadEnd => ({ because: 'a network ACL refuses it', at: at ?? '' })
    const shut = passages.find(({ some }) => !some)
    if (shut) return refused(shut.refusedBy)
    const half = passages.find(({ all }) => !all)
    return { ...open, partly: half && refused(half.refusedBy) }
  }

  #rangesOf({ id, subnets }: Place): readonly Cidr[] {
    const known = this.#ranges.get(id)
    if (known) return known
    const ranges = subnets.flatMap((subnet) => this.#routes.rangeOf(subnet) ?? [])
    this.#ranges.set(id, ranges)
    return ranges
  }

  #findEnds(): End[] {
    const routes = this.#routes
    const site = this.#options.siteNetworks.flatMap((text) => parseCidr(text) ?? [])
    const internet = (name: string, range: Cidr): End => ({
      name,
      peer: { groups: [], ranges: [range] },
      ranges: [range],
      in: (subnet, { isPublic }) => routes.in(subnet, isPublic),
      out: (subnet, { isPublic }) => routes.out(subnet, range, isPublic),
    })
    const follow = (subnet: string) => routes.site(subnet, site)
    return [
      internet('internet', somewhere),
      ...this.#publicRanges(site).map(([text, range]) => internet(`partner:${text}`, range)),
      ...(site.length > 0
        ? [{ name: 'on-premises', peer: { groups: [], ranges: site }, ranges: site, in: follow, out: follow }]
        : []),
    ]
  }

  /** Ranges of the internet that some rule names: each may be somebody whom nobody asked for. */
  #publicRanges(site: readonly Cidr[]): [string, Cidr][] {
    const own = [...privateRanges, this.#options.ownNetwork].flatMap((text) => parseCidr(text) ?? [])
    const named = this.#graph
      .ofType('AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SecurityGroupEgress')
      .flatMap(({ properties }): [string, Cidr][] => {
        const range = parseCidr(String(properties.CidrIp))
        return range && range.prefix > 0 ? [[String(properties.CidrIp), range]] : []
      })
    const isInside = (range: Cidr) => [...own, ...site].some((one) => contains(one, range) || overlaps(one, range))
    return [...new Map(named.filter(([, range]) => !isInside(range)))]
  }
}

const noWalk: Walk = { by: [], through: [], inspectedBy: [] }

function exactly(port: number): PortRange {
  return { from: port, to: port }
}

function groupOf({ securityGroups, id }: Place): string {
  return securityGroups[0] ?? id
}

/** Open where any leg is: an attacker needs one. Partly, where another is closed: a service needs them all. */
function joined(way: Way, legs: readonly Leg[]): Solved {
  const open = legs.filter((leg) => !isDeadEnd(leg)) as Exclude<Leg, DeadEnd>[]
  const dead = legs.find(isDeadEnd)
  const [first] = open
  if (!first) return { ...way, because: dead?.because ?? 'it stands in no subnet', at: dead?.at ?? '' }
  const partly = dead ?? open.find((leg) => leg.partly)?.partly
  // What one leg passes without being looked at is not looked at.
  const inspectedBy = open.every((leg) => leg.inspectedBy.length > 0) ? open.flatMap((leg) => leg.inspectedBy) : []
  const by = [...new Set(open.flatMap((leg) => leg.by))]
  return { ...way, by, inspectedBy: [...new Set(inspectedBy)], ...(partly ? { partly } : {}) }
}

/** Places of one party (endpoints, mount targets) give the same answer once. */
function distinct<Item extends Way>(ways: readonly Item[]): Item[] {
  return [...new Map(ways.map((way) => [`${way.from} ${way.to} ${way.port}`, way])).values()]
}
