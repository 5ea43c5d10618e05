import * as acm from 'aws-cdk-lib/aws-certificatemanager'
import * as route53 from 'aws-cdk-lib/aws-route53'
import * as wafv2 from 'aws-cdk-lib/aws-wafv2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { pascal } from './network.ts'
import type { Service } from './service.ts'
import { serving } from './serving.ts'

/** The names of the environment and the certificate for all of them, proved by DNS and renewed by AWS. */
export class Names extends Construct {
  readonly certificateArn: string
  readonly #zone: route53.CfnHostedZone

  constructor(scope: Construct, { settings }: Blueprint) {
    super(scope, 'Names')
    serving(this, 'security.edge')
    this.#zone = new route53.CfnHostedZone(this, 'Zone', {
      name: settings.domain,
      hostedZoneConfig: { comment: 'Names of this environment; delegate it from the zone above.' },
    })
    const certificate = new acm.CfnCertificate(this, 'Certificate', {
      domainName: settings.domain,
      subjectAlternativeNames: [`*.${settings.domain}`],
      validationMethod: 'DNS',
      domainValidationOptions: [{ domainName: settings.domain, hostedZoneId: this.#zone.ref }],
    })
    this.certificateArn = certificate.ref
  }

  /** An alias, so that a balancer may change its addresses. */
  point(scope: Construct, host: string, { name, balancer }: Service): void {
    const root = serving(new Construct(scope, `Name${pascal(name)}`), `service.${name}`)
    new route53.CfnRecordSet(root, 'Record', {
      hostedZoneId: this.#zone.ref,
      name: `${host}.`,
      type: 'A',
      aliasTarget: { dnsName: balancer.dnsName, hostedZoneId: balancer.hostedZoneId, evaluateTargetHealth: true },
    })
  }
}

/** Rule groups that AWS keeps, in the order in which they see a request. Source: WAF developer guide. */
const ruleGroups = [
  'AWSManagedRulesAmazonIpReputationList',
  'AWSManagedRulesCommonRuleSet',
  'AWSManagedRulesKnownBadInputsRuleSet',
  'AWSManagedRulesSQLiRuleSet',
] as const

/** One filter in front of every public HTTP service, with a limit by address and a log without credentials. */
export class WebFilter extends Construct {
  constructor(scope: Construct, { estate, environment }: Blueprint, services: readonly Service[], logArn: string) {
    super(scope, 'WebFilter')
    serving(this, 'security.edge')
    const open = services.filter(({ balancer }) => balancer.isPublic && balancer.isHttp)
    if (open.length === 0) return
    const acl = new wafv2.CfnWebACL(this, 'Acl', {
      name: `${estate}-${environment}`,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      visibilityConfig: visible('acl'),
      rules: [...ruleGroups.map(managed), limited(ruleGroups.length)],
    })
    for (const { name, balancer } of open) {
      new wafv2.CfnWebACLAssociation(this, `On${pascal(name)}`, { webAclArn: acl.attrArn, resourceArn: balancer.arn })
    }
    new wafv2.CfnLoggingConfiguration(this, 'Log', {
      resourceArn: acl.attrArn,
      logDestinationConfigs: [logArn],
      redactedFields: ['authorization', 'cookie', 'x-api-key'].map((Name) => ({ singleHeader: { Name } })),
    })
  }
}

function managed(name: string, priority: number): wafv2.CfnWebACL.RuleProperty {
  return {
    name,
    priority,
    overrideAction: { none: {} },
    statement: { managedRuleGroupStatement: { vendorName: 'AWS', name } },
    visibilityConfig: visible(name),
  }
}

/** Two thousand requests in five minutes from one address. */
function limited(priority: number): wafv2.CfnWebACL.RuleProperty {
  return {
    name: 'RateLimit',
    priority,
    action: { block: {} },
    statement: { rateBasedStatement: { limit: 2_000, aggregateKeyType: 'IP' } },
    visibilityConfig: visible('RateLimit'),
  }
}

function visible(metricName: string) {
  return { cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true, metricName }
}
