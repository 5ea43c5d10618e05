import type { LandingService } from '@replatform/core/landing-zone-estate'
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

/**
 * A filter in front of every public HTTP service, with a limit by address and a log without credentials. Services share
 * one; a service that says what else is refused has its own, so that no other name leads around it.
 */
export class WebFilter extends Construct {
  readonly #prefix: string
  readonly #logArn: string

  constructor(scope: Construct, blueprint: Blueprint, services: readonly Service[], logArn: string) {
    super(scope, 'WebFilter')
    serving(this, 'security.edge')
    this.#prefix = `${blueprint.estate}-${blueprint.environment}`
    this.#logArn = logArn
    const open = services.filter(({ balancer }) => balancer.isPublic && balancer.isHttp)
    const own = new Map(blueprint.services.flatMap(({ name, filter }) => (filter ? [[name, filter] as const] : [])))
    const sharing = open.filter(({ name }) => !own.has(name))
    if (sharing.length > 0) this.#filter('', sharing, {})
    for (const service of open) {
      const filter = own.get(service.name)
      if (filter) this.#filter(service.name, [service], filter)
    }
  }

  #filter(name: string, services: readonly Service[], filter: Partial<NonNullable<LandingService['filter']>>): void {
    const { requestsPerFiveMinutes = 2_000, deny, only } = filter
    const first = [
      ...(deny ? [blocked('Refused', this.#ranges(`${name}-refused`, deny))] : []),
      ...(only ? [blocked('Others', { notStatement: { statement: this.#ranges(`${name}-only`, only) } })] : []),
    ]
    const acl = new wafv2.CfnWebACL(this, `Acl${pascal(name)}`, {
      name: [this.#prefix, name].filter(Boolean).join('-'),
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      visibilityConfig: visible(['acl', name].filter(Boolean).join('-')),
      rules: [...first, ...ruleGroups.map(managed), limited(requestsPerFiveMinutes)].map((rule, priority) => ({
        ...rule,
        priority,
      })),
    })
    for (const service of services) {
      new wafv2.CfnWebACLAssociation(this, `On${pascal(service.name)}`, {
        webAclArn: acl.attrArn,
        resourceArn: service.balancer.arn,
      })
    }
    new wafv2.CfnLoggingConfiguration(this, `Log${pascal(name)}`, {
      resourceArn: acl.attrArn,
      logDestinationConfigs: [this.#logArn],
      redactedFields: ['authorization', 'cookie', 'x-api-key'].map((Name) => ({ singleHeader: { Name } })),
    })
  }

  #ranges(name: string, addresses: readonly string[]): wafv2.CfnWebACL.StatementProperty {
    const set = new wafv2.CfnIPSet(this, `Ranges${pascal(name)}`, {
      name: `${this.#prefix}-${name}`,
      scope: 'REGIONAL',
      ipAddressVersion: 'IPV4',
      addresses: [...addresses],
    })
    return { ipSetReferenceStatement: { arn: set.attrArn } }
  }
}

type FilterRule = Omit<wafv2.CfnWebACL.RuleProperty, 'priority'>

function blocked(name: string, statement: wafv2.CfnWebACL.StatementProperty): FilterRule {
  return { name, action: { block: {} }, statement, visibilityConfig: visible(name) }
}

function managed(name: string): FilterRule {
  return {
    name,
    overrideAction: { none: {} },
    statement: { managedRuleGroupStatement: { vendorName: 'AWS', name } },
    visibilityConfig: visible(name),
  }
}

/** So many requests in five minutes from one address. */
function limited(limit: number): FilterRule {
  return {
    name: 'RateLimit',
    action: { block: {} },
    statement: { rateBasedStatement: { limit, aggregateKeyType: 'IP' } },
    visibilityConfig: visible('RateLimit'),
  }
}

function visible(metricName: string) {
  return { cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true, metricName }
}
