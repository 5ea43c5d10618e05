import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as resolver from 'aws-cdk-lib/aws-route53resolver'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import type { Network } from './network.ts'
import { serving } from './serving.ts'

/**
 * Names that may be resolved: AWS's own and the partners that services name; everything else has no answer. It costs
 * next to nothing and fails closed, and it does not stop who calls an address without a name: that is what
 * `extras.firewall` is for, where somebody needs it.
 */
export class EgressControl extends Construct {
  constructor(scope: Construct, blueprint: Blueprint, network: Network) {
    super(scope, 'EgressControl')
    serving(this, 'network.egress')
    const allowed = new resolver.CfnFirewallDomainList(this, 'Allowed', { domains: allowedDomains(blueprint) })
    const everything = new resolver.CfnFirewallDomainList(this, 'Everything', { domains: ['*'] })
    const group = new resolver.CfnFirewallRuleGroup(this, 'Rules', {
      firewallRules: [
        { priority: 100, action: 'ALLOW', firewallDomainListId: allowed.attrId },
        { priority: 200, action: 'BLOCK', blockResponse: 'NXDOMAIN', firewallDomainListId: everything.attrId },
      ],
    })
    new resolver.CfnFirewallRuleGroupAssociation(this, 'Association', {
      firewallRuleGroupId: group.attrId,
      vpcId: network.vpc.ref,
      priority: 101,
      mutationProtection: 'ENABLED',
    })
  }
}

export function allowedDomains({ services, region, settings }: Blueprint): string[] {
  const partners = services.flatMap(({ egress = [] }) => egress.flatMap(({ host }) => host ?? []))
  return [
    ...new Set([...partners, '*.amazonaws.com', `*.${region}.amazonaws.com`, settings.domain, `*.${settings.domain}`]),
  ]
}

/** Everything that crosses the VPC, kept with the other logs; ENIs included that nobody thinks of. */
export function flowLog(network: Network, logGroupArn: string, roleArn: string): void {
  const scope = serving(new Construct(network, 'FlowLog'), 'security.audit-trail')
  new ec2.CfnFlowLog(scope, 'FlowLog', {
    resourceId: network.vpc.ref,
    resourceType: 'VPC',
    trafficType: 'ALL',
    logDestinationType: 'cloud-watch-logs',
    logDestination: logGroupArn,
    deliverLogsPermissionArn: roleArn,
    maxAggregationInterval: 60,
  })
}
