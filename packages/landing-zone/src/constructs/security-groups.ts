import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { type Flow, flowsOf, isInside, type Party, partiesOf } from '../plan/flows.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'

/**
 * One group for each party and one pair of rules for each flow, all in one place: what is not written here is refused.
 * Groups start without the rule "everything out" that AWS gives by itself.
 */
export class SecurityGroups extends Construct {
  readonly #groups: ReadonlyMap<Party, ec2.CfnSecurityGroup>

  constructor(scope: Construct, blueprint: Blueprint, vpcId: string) {
    super(scope, 'SecurityGroups')
    serving(this, 'network.closed')
    const flows = flowsOf(blueprint)
    const inside = partiesOf(flows).filter(isInside)
    this.#groups = new Map(inside.map((party) => [party, this.#group(party, vpcId)]))
    for (const [index, flow] of flows.entries()) this.#allow(flow, index, blueprint)
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

  #allow(flow: Flow, index: number, blueprint: Blueprint): void {
    const { from, to, port, serves } = flow
    const scope = serving(new Construct(this, `${pascal(from)}To${pascal(to)}${port}N${index}`), serves)
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
    for (const [ruleIndex, peer] of peersOf(to, destination, blueprint).entries()) {
      if (!source) continue
      new ec2.CfnSecurityGroupEgress(scope, `Out${ruleIndex || ''}`, {
        groupId: source.attrGroupId,
        ...ports,
        ...(destination ? { destinationSecurityGroupId: peer } : { cidrIp: peer }),
      })
    }
  }
}

/** A group's id, or the ranges that a party outside has. */
function peersOf(party: Party, group: ec2.CfnSecurityGroup | undefined, { onPremises }: Blueprint): string[] {
  if (group) return [group.attrGroupId]
  return party === 'on-premises' ? (onPremises?.networks ?? []) : ['0.0.0.0/0']
}
