import { Fn } from 'aws-cdk-lib'
import * as firewall from 'aws-cdk-lib/aws-networkfirewall'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { addressPartners, namedPartners } from '../plan/partners.ts'
import { alarmOnLog } from './log-alarm.ts'
import type { Network } from './network.ts'
import { serving } from './serving.ts'

export interface FirewallContext {
  readonly network: Network
  readonly flowLogName: string
  readonly alertLogName: string
  readonly incidentsArn: string
}

/**
 * The allow-list on the wire, where somebody asked for it: partners by the name that TLS or HTTP says, others by address
 * and port; everything else is dropped, logged and told. One firewall in each zone with a way out, since the endpoints
 * of one over several zones come in an order that nobody promises; AWS bills endpoints, so it costs the same.
 */
export class EgressFirewall extends Construct {
  readonly #byZone: ReadonlyMap<string, firewall.CfnFirewall>

  constructor(scope: Construct, blueprint: Blueprint, context: FirewallContext) {
    super(scope, 'Firewall')
    serving(this, 'network.egress')
    const policyArn = this.#policy(blueprint)
    this.#byZone = new Map(
      context.network
        .placed('firewall')
        .map(({ zone, resource }) => [
          zone,
          this.#firewall({ zone, subnetId: resource.ref, policyArn }, blueprint, context),
        ]),
    )
    this.#watch(blueprint, context)
  }

  /** Of the only endpoint that the zone's firewall has; routes lead to it. */
  endpointId(zone: string): string {
    const one = this.#byZone.get(zone) as firewall.CfnFirewall
    // "ap-southeast-1a:vpce-0123": the zone, then the endpoint.
    return Fn.select(1, Fn.split(':', Fn.select(0, one.attrEndpointIds)))
  }

  #policy(blueprint: Blueprint): string {
    const groups = [this.#byAddress(blueprint), this.#byName(blueprint)].filter((group) => group !== undefined)
    const policy = new firewall.CfnFirewallPolicy(this, 'Policy', {
      firewallPolicyName: nameOf(blueprint),
      firewallPolicy: {
        statelessDefaultActions: ['aws:forward_to_sfe'],
        statelessFragmentDefaultActions: ['aws:drop'],
        statefulEngineOptions: { ruleOrder: 'STRICT_ORDER', streamExceptionPolicy: 'DROP' },
        // Handshakes pass, or nobody would say a name; what follows them does not.
        statefulDefaultActions: ['aws:drop_established', 'aws:alert_established'],
        statefulRuleGroupReferences: groups.map((group, index) => ({
          resourceArn: group.attrRuleGroupArn,
          priority: index + 1,
        })),
      },
    })
    return policy.attrFirewallPolicyArn
  }

  /** Partners that have no name to be known by, and an end to whatever is not TCP. */
  #byAddress(blueprint: Blueprint): firewall.CfnRuleGroup {
    const partners = addressPartners(blueprint)
    const sets = partners.map(({ ranges }, index) => ({ name: `PARTNER${index + 1}`, ranges: [...ranges] }))
    const passes = partners.map(({ port }, index) => statement('PASS', 'TCP', `$PARTNER${index + 1}`, String(port)))
    const drops = ['UDP', 'ICMP'].map((protocol) => statement('DROP', protocol, 'ANY', 'ANY'))
    return new firewall.CfnRuleGroup(this, 'Addresses', {
      ruleGroupName: `${nameOf(blueprint)}-addresses`,
      type: 'STATEFUL',
      capacity: 100,
      ruleGroup: {
        ...(sets.length > 0
          ? {
              ruleVariables: {
                ipSets: Object.fromEntries(sets.map(({ name, ranges }) => [name, { definition: ranges }])),
              },
            }
          : {}),
        rulesSource: {
          statefulRules: [...passes, ...drops].map((rule, index) => ({
            ...rule,
            ruleOptions: [{ keyword: 'sid', settings: [String(index + 1)] }],
          })),
        },
        statefulRuleOptions: { ruleOrder: 'STRICT_ORDER' },
      },
    })
  }

  #byName(blueprint: Blueprint): firewall.CfnRuleGroup | undefined {
    // A firewall writes "all below it" with a dot, DNS with a star.
    const targets = namedPartners(blueprint).map((host) => host.replace(/^\*\./, '.'))
    if (targets.length === 0) return undefined
    return new firewall.CfnRuleGroup(this, 'Partners', {
      ruleGroupName: `${nameOf(blueprint)}-partners`,
      type: 'STATEFUL',
      capacity: 100,
      ruleGroup: {
        rulesSource: {
          rulesSourceList: { generatedRulesType: 'ALLOWLIST', targetTypes: ['TLS_SNI', 'HTTP_HOST'], targets },
        },
        statefulRuleOptions: { ruleOrder: 'STRICT_ORDER' },
      },
    })
  }

  #firewall(
    { zone, subnetId, policyArn }: { readonly zone: string; readonly subnetId: string; readonly policyArn: string },
    blueprint: Blueprint,
    { network, flowLogName, alertLogName }: FirewallContext,
  ): firewall.CfnFirewall {
    const letter = zone.slice(-1)
    const one = new firewall.CfnFirewall(this, `Zone${letter.toUpperCase()}`, {
      firewallName: `${nameOf(blueprint)}-${letter}`,
      vpcId: network.vpc.ref,
      firewallPolicyArn: policyArn,
      deleteProtection: true,
      subnetChangeProtection: true,
      firewallPolicyChangeProtection: true,
      subnetMappings: [{ subnetId }],
    })
    new firewall.CfnLoggingConfiguration(this, `Zone${letter.toUpperCase()}Logs`, {
      firewallArn: one.attrFirewallArn,
      loggingConfiguration: {
        logDestinationConfigs: [
          { logType: 'FLOW', logDestinationType: 'CloudWatchLogs', logDestination: { logGroup: flowLogName } },
          { logType: 'ALERT', logDestinationType: 'CloudWatchLogs', logDestination: { logGroup: alertLogName } },
        ],
      },
    })
    return one
  }

  /** Somebody inside called whom nobody named: a mistake, or worse. */
  #watch({ estate, environment }: Blueprint, { alertLogName, incidentsArn }: FirewallContext): void {
    const scope = serving(new Construct(this, 'Refused'), 'security.threats')
    alarmOnLog(scope, {
      logGroupName: alertLogName,
      pattern: '{ $.event.event_type = "alert" }',
      metric: { namespace: `${estate}-${environment}`, name: 'EgressRefused' },
      description: 'The firewall refused a call to somebody who is no partner',
      when: { atLeast: 1 },
      incidentsArn,
      ids: { filter: 'Filter', alarm: 'Alarm' },
    })
  }
}

function nameOf({ estate, environment }: Blueprint): string {
  return `${estate}-${environment}`
}

function statement(action: string, protocol: string, destination: string, destinationPort: string) {
  const header = { protocol, source: 'ANY', sourcePort: 'ANY', direction: 'FORWARD', destination, destinationPort }
  return { action, header }
}
