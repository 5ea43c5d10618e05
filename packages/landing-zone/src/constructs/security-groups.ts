import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { everywhere, formatCidr, parseCidr, privateRanges, without } from '../plan/cidr.ts'
import { type Flow, flowsOf, isInside, type Party, partiesOf } from '../plan/flows.ts'
import { accepting } from './accepting.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'

/**
 * One group for each party and one pair of rules for each flow, all in one place: what is not written here is refused.
 * Groups start without the rule "everything out" that AWS gives by itself.
 */
export class SecurityGroups extends Construct {
  readonly #groups: ReadonlyMap<Party, ec2.CfnSecurityGroup>
  /** Everything but private addresses: a rule for partners must not open a way back into the house. */
  readonly #internet: ec2.CfnPrefixList

  constructor(scope: Construct, blueprint: Blueprint, vpcId: string) {
    super(scope, 'SecurityGroups')
    serving(this, 'network.closed')
    this.#internet = this.#internetList(blueprint)
    const flows = flowsOf(blueprint)
    const inside = partiesOf(flows).filter(isInside)
    this.#groups = new Map(inside.map((party) => [party, this.#group(party, vpcId)]))
    for (const flow of flows) if (!isCovered(flow, flows)) this.#allow(flow, blueprint)
  }

  /** Throws for a party that no flow names: nothing could reach it. */
  id(party: Party): string {
    const group = this.#groups.get(party)
    if (!group) throw new Error(`No flow names ${party}.`)
    return group.attrGroupId
  }

  #group(party: Party, vpcId: string): ec2.CfnSecurityGroup {
    return new ec2.CfnSecurityGroup(this, pascal(party), {
      vpcId,
      groupDescription: `${party}: only what flows of the estate name`,
      // An empty list would bring the rule "everything out" back; this one reaches nobody.
      securityGroupEgress: [{ ipProtocol: 'icmp', fromPort: 252, toPort: 86, cidrIp: '255.255.255.255/32' }],
    })
  }

  #internetList({ settings, onPremises }: Blueprint): ec2.CfnPrefixList {
    const own = [settings.network, ...(onPremises?.networks ?? []), onPremises?.people?.network ?? []].flat()
    const excluded = [...privateRanges, ...own].flatMap((text) => parseCidr(text) ?? [])
    const entries = without({ base: 0, prefix: 0 }, excluded).map((range) => ({ cidr: formatCidr(range) }))
    return new ec2.CfnPrefixList(this, 'Internet', {
      prefixListName: 'internet',
      addressFamily: 'IPv4',
      maxEntries: entries.length,
      entries,
    })
  }

  #allow(flow: Flow, blueprint: Blueprint): void {
    const { from, to, port, serves } = flow
    // Two ranges must not become one id: 1.11.1.1 and 11.1.1.1.
    const scope = serving(new Construct(this, `${pascal(from)}To${pascal(to.replaceAll(/[./]/g, 'x'))}${port}`), serves)
    if (from === 'internet')
      accepting(scope, 'A flow of the estate: customers come from everywhere, to 443 only.', 'EC23')
    const description = flow.reason.replaceAll(/[^\w .:/()#,@[\]+=&;{}!$*-]/g, '-').slice(0, 250)
    const ports = { ipProtocol: 'tcp', fromPort: port, toPort: port, description }
    const source = this.#groups.get(from)
    const destination = this.#groups.get(to)
    for (const [ruleIndex, peer] of peersOf(from, source, blueprint).entries()) {
      if (!destination) continue
      new ec2.CfnSecurityGroupIngress(scope, `In${ruleIndex || ''}`, {
        groupId: destination.attrGroupId,
        ...ports,
        ...(source ? { sourceSecurityGroupId: peer } : { cidrIp: peer }),
      })
    }
    if (!source) return
    for (const [ruleIndex, peer] of this.#peersTo(to, destination, blueprint).entries()) {
      new ec2.CfnSecurityGroupEgress(scope, `Out${ruleIndex || ''}`, { groupId: source.attrGroupId, ...ports, ...peer })
    }
  }

  #peersTo(
    to: Party,
    destination: ec2.CfnSecurityGroup | undefined,
    blueprint: Blueprint,
  ): Partial<ec2.CfnSecurityGroupEgressProps>[] {
    if (destination) return [{ destinationSecurityGroupId: destination.attrGroupId }]
    if (to === 'partners') return [{ destinationPrefixListId: this.#internet.attrPrefixListId }]
    if (to === 'objects') return [{ destinationPrefixListId: blueprint.s3PrefixList }]
    return peersOf(to, undefined, blueprint).map((cidrIp) => ({ cidrIp }))
  }
}

/** What the whole internet may reach, the old site may; who may call any partner by a port may call S3 by it. */
function isCovered({ from, to, port }: Flow, flows: readonly Flow[]): boolean {
  const has = (other: Pick<Flow, 'from' | 'to'>) =>
    flows.some((flow) => flow.from === other.from && flow.to === other.to && flow.port === port)
  return (
    (from === 'on-premises' && has({ from: 'internet', to })) || (to === 'objects' && has({ from, to: 'partners' }))
  )
}

/** A group's id, or the ranges that a party outside has. */
function peersOf(party: Party, group: ec2.CfnSecurityGroup | undefined, { onPremises }: Blueprint): string[] {
  if (group) return [group.attrGroupId]
  if (party.startsWith('partner:')) return [party.slice('partner:'.length)]
  return party === 'on-premises' ? (onPremises?.networks ?? []) : [everywhere]
}
