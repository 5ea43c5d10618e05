import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { everywhere } from '../plan/cidr.ts'
import { answerPorts, anyPort, type PortRange } from '../plan/ports.ts'
import { accepting } from './accepting.ts'
import type { Network } from './network.ts'

/** TCP, by its number (IANA, protocol numbers): entries of an ACL know no names. */
const tcp = 6

/**
 * A second lock of the data tier: its network ACL admits app and data subnets and nobody else. ACLs know no connections,
 * so both directions are written. Rehosted machines fetch patches through the gateway of S3, which has public addresses
 * that an ACL cannot name: while they stand, 443 goes out, and only its answers come in; the rest of the own network
 * stays refused before that.
 */
export function closeDataTier(network: Network, wholeRange: string, stores: readonly PlannedStore[]): void {
  const scope = accepting(
    new Construct(network, 'DataLock'),
    'One ACL for one tier, generated and solved by the reachability proof: a second lock beside the groups.',
    'VPC3',
  )
  const acl = new ec2.CfnNetworkAcl(scope, 'Acl', { vpcId: network.vpc.ref, tags: [{ key: 'Name', value: 'data' }] })
  for (const { tier, zone, resource } of network.placed('data')) {
    new ec2.CfnSubnetNetworkAclAssociation(scope, `${tier}${zone.slice(-1).toUpperCase()}`, {
      networkAclId: acl.ref,
      subnetId: resource.ref,
    })
  }
  const entry = (
    ruleNumber: number,
    action: 'allow' | 'deny',
    cidrBlock: string,
    ports: { in: PortRange; out: PortRange },
  ) => {
    for (const direction of ['in', 'out'] as const) {
      new ec2.CfnNetworkAclEntry(scope, `${direction}${ruleNumber}`, {
        networkAclId: acl.ref,
        ruleNumber,
        ruleAction: action,
        egress: direction === 'out',
        protocol: tcp,
        portRange: ports[direction],
        cidrBlock,
      })
    }
  }
  const inner = [...network.placed('app'), ...network.placed('data')]
  for (const [index, { cidr }] of inner.entries()) entry(100 + index, 'allow', cidr, { in: anyPort, out: anyPort })
  if (!stores.some(({ form }) => form === 'ec2')) return
  entry(200, 'deny', wholeRange, { in: anyPort, out: anyPort })
  entry(300, 'allow', everywhere, { in: answerPorts, out: { from: 443, to: 443 } })
}
