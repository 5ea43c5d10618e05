import type { LandingRoute } from '@replatform/core/landing-zone-estate'
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import type { Construct } from 'constructs'

export interface ListenerRuleOptions {
  readonly route: LandingRoute
  readonly targetGroupArn: string
  readonly listenerArn: string
  /** The least is looked at first; each once on a listener. */
  readonly priority: number
}

/** One rule of an application balancer, as the estate describes it. */
export function listenerRule(scope: Construct, options: ListenerRuleOptions): elb.CfnListenerRule {
  const { route, listenerArn, priority } = options
  return new elb.CfnListenerRule(scope, `Rule${priority}`, {
    listenerArn,
    priority,
    conditions: conditionsOf(route),
    actions: [actionOf(options)],
  })
}

export function conditionsOf({
  hosts,
  paths,
  methods,
  sources,
}: LandingRoute): elb.CfnListenerRule.RuleConditionProperty[] {
  return [
    ...(hosts ? [{ field: 'host-header', hostHeaderConfig: { values: hosts } }] : []),
    ...(paths ? [{ field: 'path-pattern', pathPatternConfig: { values: paths } }] : []),
    ...(methods ? [{ field: 'http-request-method', httpRequestMethodConfig: { values: methods } }] : []),
    ...(sources ? [{ field: 'source-ip', sourceIpConfig: { values: sources } }] : []),
  ]
}

function actionOf({ route, targetGroupArn }: ListenerRuleOptions): elb.CfnListenerRule.ActionProperty {
  const { deny, redirect } = route
  if (deny !== undefined) {
    return {
      type: 'fixed-response',
      fixedResponseConfig: { statusCode: String(deny), contentType: 'text/plain', messageBody: '' },
    }
  }
  if (!redirect) return { type: 'forward', targetGroupArn }
  const { host, path, permanent = false } = redirect
  return {
    type: 'redirect',
    redirectConfig: {
      protocol: 'HTTPS',
      port: '443',
      ...(host ? { host } : {}),
      ...(path ? { path } : {}),
      statusCode: permanent ? 'HTTP_301' : 'HTTP_302',
    },
  }
}
