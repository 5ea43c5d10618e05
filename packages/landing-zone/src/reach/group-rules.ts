/** What security groups let through, whether a rule stands by itself or inside its group. */
import { type Cidr, contains, parseCidr } from '../plan/cidr.ts'
import type { Properties, TemplateGraph } from '../template/template-graph.ts'
import type { Place } from './places.ts'

export interface GroupRule {
  readonly id: string
  readonly group: string
  readonly direction: 'in' | 'out'
  readonly from: number
  readonly to: number
  readonly peerGroup: string | undefined
  /** A list that AWS keeps: its ranges stand in no template. */
  readonly peerList: string | undefined
  readonly peerRanges: readonly Cidr[]
}

/** Who stands at the other end: groups, ranges, or a list that AWS keeps. */
export interface Peer {
  readonly groups: readonly string[]
  readonly ranges: readonly Cidr[]
  readonly list?: string
}

export class GroupRules {
  readonly all: readonly GroupRule[]
  readonly #byGroup: ReadonlyMap<string, readonly GroupRule[]>

  constructor(graph: TemplateGraph) {
    this.all = rulesOf(graph)
    this.#byGroup = Map.groupBy(this.all, ({ group }) => group)
  }

  /** The first that lets TCP to or from this port through. */
  find({ securityGroups }: Place, direction: GroupRule['direction'], port: number, peer: Peer): GroupRule | undefined {
    return securityGroups
      .flatMap((group) => this.#byGroup.get(group) ?? [])
      .find((rule) => rule.direction === direction && rule.from <= port && port <= rule.to && isMeant(rule, peer))
  }
}

function isMeant({ peerGroup, peerList, peerRanges }: GroupRule, peer: Peer): boolean {
  if (peerGroup !== undefined) return peer.groups.includes(peerGroup)
  if (peerList !== undefined) return peer.list === peerList
  return peer.ranges.some((range) => peerRanges.some((allowed) => contains(allowed, range)))
}

function rulesOf(graph: TemplateGraph): GroupRule[] {
  const own = graph
    .ofType('AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SecurityGroupEgress')
    .map(({ id, type, properties }) => {
      const group = graph.named(properties.GroupId)[0]?.id ?? ''
      return ruleOf(graph, { id, group, direction: type.endsWith('Ingress') ? 'in' : 'out', properties })
    })
  const written = graph
    .ofType('AWS::EC2::SecurityGroup')
    .flatMap(({ id, properties }) => [
      ...lines(properties.SecurityGroupIngress).map((line) =>
        ruleOf(graph, { id, group: id, direction: 'in', properties: line }),
      ),
      ...lines(properties.SecurityGroupEgress).map((line) =>
        ruleOf(graph, { id, group: id, direction: 'out', properties: line }),
      ),
    ])
  return [...own, ...written].filter(({ to }) => to >= 0)
}

type WrittenRule = Pick<GroupRule, 'id' | 'group' | 'direction'> & { readonly properties: Properties }

function ruleOf(graph: TemplateGraph, { properties, ...rule }: WrittenRule): GroupRule {
  const { IpProtocol, FromPort, ToPort, CidrIp } = properties
  const isAll = String(IpProtocol) === '-1'
  const isTcp = isAll || IpProtocol === 'tcp'
  const list = properties.DestinationPrefixListId ?? properties.SourcePrefixListId
  const ownList = graph.named(list)[0]
  return {
    ...rule,
    from: isAll ? 0 : Number(FromPort),
    to: isTcp ? (isAll ? 65_535 : Number(ToPort)) : -1,
    peerGroup: graph.named(properties.SourceSecurityGroupId ?? properties.DestinationSecurityGroupId)[0]?.id,
    peerList: typeof list === 'string' && !ownList ? list : undefined,
    peerRanges:
      typeof CidrIp === 'string'
        ? rangesIn([CidrIp])
        : rangesIn(lines(ownList?.properties.Entries).map(({ Cidr }) => Cidr)),
  }
}

function lines(value: unknown): readonly Properties[] {
  return Array.isArray(value) ? value : []
}

function rangesIn(texts: readonly unknown[]): Cidr[] {
  return texts.flatMap((text) => parseCidr(String(text)) ?? [])
}
