/** What network ACLs let through. A subnet that none is given has the one that AWS makes, which is open. */

import { at } from '../check/rule.ts'
import { type Cidr, contains, overlaps, parseCidr, without } from '../plan/cidr.ts'
import { anyPort, type PortRange } from '../plan/ports.ts'
import type { Properties, TemplateGraph } from '../template/template-graph.ts'

/** `some`: a part of the addresses and ports passes. `all`: all of them do; otherwise `refusedBy` says what stops it. */
export interface Passage {
  readonly some: boolean
  readonly all: boolean
  readonly refusedBy: string | undefined
}

const open: Passage = { some: true, all: true, refusedBy: undefined }

interface Entry extends PortRange {
  readonly id: string
  readonly number: number
  readonly allows: boolean
  readonly range: Cidr
}

interface Acl {
  readonly id: string
  readonly in: readonly Entry[]
  readonly out: readonly Entry[]
}

export class NetworkAcls {
  readonly #bySubnet: ReadonlyMap<string, Acl>

  constructor(graph: TemplateGraph) {
    const acls = new Map(graph.ofType('AWS::EC2::NetworkAcl').map(({ id }) => [id, aclOf(id, graph)]))
    const pairs = graph
      .ofType('AWS::EC2::SubnetNetworkAclAssociation')
      .flatMap(({ properties }): (readonly [string, Acl])[] => {
        const acl = acls.get(graph.named(properties.NetworkAclId)[0]?.id ?? '')
        return acl ? graph.named(properties.SubnetId).map(({ id }) => [id, acl] as const) : []
      })
    this.#bySubnet = new Map(pairs)
  }

  passes(subnet: string, direction: 'in' | 'out', peer: Cidr, ports: PortRange): Passage {
    const acl = this.#bySubnet.get(subnet)
    if (!acl) return open
    const decisions = decide(acl[direction], peer, ports)
    const refusal = decisions.find(({ allows }) => !allows)
    return {
      some: decisions.some(({ allows }) => allows),
      all: refusal === undefined,
      refusedBy: refusal && (refusal.by ?? acl.id),
    }
  }
}

interface Decision {
  readonly allows: boolean
  /** Undefined where no entry spoke and the last word of every ACL did: refused. */
  readonly by?: string
}

/** Entries in their order; the first that fits decides, and what it fits only in part is divided along its edges. */
function decide(entries: readonly Entry[], peer: Cidr, ports: PortRange): Decision[] {
  const index = entries.findIndex(
    (entry) => overlaps(entry.range, peer) && entry.from <= ports.to && ports.from <= entry.to,
  )
  const entry = entries[index]
  if (!entry) return [{ allows: false }]
  const rest = entries.slice(index + 1)
  const inside = { from: Math.max(entry.from, ports.from), to: Math.min(entry.to, ports.to) }
  const shared = contains(entry.range, peer) ? peer : entry.range
  return [
    { allows: entry.allows, by: entry.id },
    ...without(peer, [entry.range]).flatMap((part) => decide(rest, part, ports)),
    ...(ports.from < inside.from ? decide(rest, shared, { from: ports.from, to: inside.from - 1 }) : []),
    ...(inside.to < ports.to ? decide(rest, shared, { from: inside.to + 1, to: ports.to }) : []),
  ]
}

/** TCP is 6, everything is -1 (IANA, protocol numbers); entries about anything else do not concern us. */
function aclOf(id: string, graph: TemplateGraph): Acl {
  const entries = graph
    .ofType('AWS::EC2::NetworkAclEntry')
    .filter(({ properties }) => graph.named(properties.NetworkAclId)[0]?.id === id)
    .filter(({ properties }) => ['6', '-1'].includes(String(properties.Protocol)))
    .toSorted((a, b) => Number(a.properties.RuleNumber) - Number(b.properties.RuleNumber))
  const facing = (isOut: boolean) =>
    entries
      .filter(({ properties }) => (properties.Egress === true) === isOut)
      .flatMap((entry) => entryOf(entry.id, entry.properties))
  return { id, in: facing(false), out: facing(true) }
}

function entryOf(id: string, properties: Properties): Entry[] {
  const range = parseCidr(String(properties.CidrBlock))
  if (!range) return []
  const isAll = String(properties.Protocol) === '-1'
  const from = Number((isAll ? undefined : at(properties, 'PortRange.From')) ?? anyPort.from)
  const to = Number((isAll ? undefined : at(properties, 'PortRange.To')) ?? anyPort.to)
  const allows = properties.RuleAction === 'allow'
  return [{ id, number: Number(properties.RuleNumber), allows, range, from, to }]
}
