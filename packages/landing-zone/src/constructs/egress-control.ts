import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as firewall from 'aws-cdk-lib/aws-networkfirewall'
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
  const partners = services.flatMap(({ egress = [] }) => egress.map(({ host }) => host))
  return [
    ...new Set([...partners, '*.amazonaws.com', `*.${region}.amazonaws.com`, settings.domain, `*.${settings.domain}`]),
  ]
}

/** The same list on the wire, by the server name of TLS: what is not on it is dropped. Only where it was asked for. */
export class FirewallPolicy extends Construct {
  constructor(scope: Construct, blueprint: Blueprint, network: Network) {
    super(scope, 'Firewall')
    serving(this, 'network.egress')
    // A firewall writes "all below it" with a dot, DNS with a star.
    const targets = blueprint.services.flatMap(({ egress = [] }) =>
      egress.map(({ host }) => host.replace(/^\*\./, '.')),
    )
    const rules = new firewall.CfnRuleGroup(this, 'Partners', {
      ruleGroupName: `${blueprint.estate}-${blueprint.environment}-partners`,
      type: 'STATEFUL',
      capacity: 100,
      ruleGroup: {
        rulesSource: {
          rulesSourceList: {
            generatedRulesType: 'ALLOWLIST',
            targetTypes: ['TLS_SNI', 'HTTP_HOST'],
            targets: [...new Set(targets)],
          },
        },
        statefulRuleOptions: { ruleOrder: 'STRICT_ORDER' },
      },
    })
    const policy = new firewall.CfnFirewallPolicy(this, 'Policy', {
      firewallPolicyName: `${blueprint.estate}-${blueprint.environment}`,
      firewallPolicy: {
        statelessDefaultActions: ['aws:forward_to_sfe'],
        statelessFragmentDefaultActions: ['aws:drop'],
        statefulEngineOptions: { ruleOrder: 'STRICT_ORDER', streamExceptionPolicy: 'DROP' },
        statefulDefaultActions: ['aws:drop_established', 'aws:alert_established'],
        statefulRuleGroupReferences: [{ resourceArn: rules.attrRuleGroupArn, priority: 1 }],
      },
    })
    new firewall.CfnFirewall(this, 'Firewall', {
      firewallName: `${blueprint.estate}-${blueprint.environment}`,
      vpcId: network.vpc.ref,
      firewallPolicyArn: policy.attrFirewallPolicyArn,
      deleteProtection: true,
      subnetChangeProtection: true,
      subnetMappings: network.subnetIds('public').map((subnetId) => ({ subnetId })),
    })
  }
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
