import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { Construct } from 'constructs'
import type { PlannedService } from '../plan/blueprint.ts'
import { listenerRule } from './listener-rule.ts'
import { pascal } from './network.ts'
import type { ServiceContext } from './service.ts'

/** TLS 1.2 and 1.3 with forward secrecy. Source: Elastic Load Balancing user guide, "Security policies". */
const tlsPolicy = 'ELBSecurityPolicy-TLS13-1-2-2021-06'

/** In front of a service: an application balancer for HTTP, a network balancer for everything else. TLS ends here. */
export class Balancer extends Construct {
  readonly arn: string
  readonly dnsName: string
  readonly hostedZoneId: string
  readonly fullName: string
  readonly targets: elb.CfnTargetGroup
  readonly isPublic: boolean
  readonly isHttp: boolean
  readonly #listenerArn: string
  readonly #context: ServiceContext
  /** Of other services, on this balancer: a group of targets belongs to one balancer only. */
  readonly #others = new Map<string, elb.CfnTargetGroup>()

  constructor(scope: Construct, service: PlannedService, context: ServiceContext) {
    super(scope, 'Balancer')
    this.isHttp = (service.protocol ?? 'http') === 'http'
    this.isPublic = service.from.includes('internet')
    this.#context = context
    const balancer = this.#balancer(service, context)
    const group = this.#targets('Targets', service, context)
    this.arn = balancer.ref
    this.dnsName = balancer.attrDnsName
    this.hostedZoneId = balancer.attrCanonicalHostedZoneId
    this.fullName = balancer.attrLoadBalancerFullName
    this.targets = group
    const listener = new elb.CfnListener(this, 'Listener', {
      loadBalancerArn: balancer.ref,
      port: 443,
      protocol: this.isHttp ? 'HTTPS' : 'TLS',
      sslPolicy: tlsPolicy,
      certificates: [{ certificateArn: context.certificateArn }],
      defaultActions: [{ type: 'forward', targetGroupArn: group.ref }],
    })
    this.#listenerArn = listener.ref
  }

  /**
   * The rules of the estate in their order. Returns the groups that other services' machines must join. Call once, when
   * every service exists.
   */
  route(
    { name, routes = [] }: PlannedService,
    services: readonly PlannedService[],
  ): ReadonlyMap<string, elb.CfnTargetGroup> {
    for (const [index, route] of routes.entries()) {
      const other = services.find((one) => one.name === route.to && one.name !== name)
      const targetGroupArn = (other ? this.#targetsOf(other) : this.targets).ref
      listenerRule(this, { route, targetGroupArn, listenerArn: this.#listenerArn, priority: index + 1 })
    }
    return this.#others
  }

  #targetsOf(other: PlannedService): elb.CfnTargetGroup {
    const group = this.#others.get(other.name) ?? this.#targets(`Targets${pascal(other.name)}`, other, this.#context)
    this.#others.set(other.name, group)
    return group
  }

  #balancer(
    { idleTimeoutSeconds = 60 }: PlannedService,
    { publicSubnetIds, appSubnetIds, balancerGroupId, accessLogsBucket, blueprint }: ServiceContext,
  ): elb.CfnLoadBalancer {
    const attributes = {
      'deletion_protection.enabled': String(blueprint.isProduction),
      'access_logs.s3.enabled': 'true',
      'access_logs.s3.bucket': accessLogsBucket,
      'load_balancing.cross_zone.enabled': 'true',
      ...(this.isHttp
        ? {
            'routing.http.drop_invalid_header_fields.enabled': 'true',
            'routing.http.desync_mitigation_mode': 'strictest',
            'idle_timeout.timeout_seconds': String(idleTimeoutSeconds),
          }
        : {}),
    }
    return new elb.CfnLoadBalancer(this, 'Balancer', {
      type: this.isHttp ? 'application' : 'network',
      scheme: this.isPublic ? 'internet-facing' : 'internal',
      subnets: [...(this.isPublic ? publicSubnetIds : appSubnetIds)],
      securityGroups: [balancerGroupId],
      loadBalancerAttributes: Object.entries(attributes).map(([key, value]) => ({ key, value })),
    })
  }

  #targets(id: string, service: PlannedService, { vpcId }: ServiceContext): elb.CfnTargetGroup {
    const { port, health, protocol = 'http', balance = 'round-robin', sticky = false } = service
    const isHttp = protocol === 'http'
    const attributes = {
      'deregistration_delay.timeout_seconds': '60',
      ...(balance === 'least-outstanding' ? { 'load_balancing.algorithm.type': 'least_outstanding_requests' } : {}),
      ...(sticky ? { 'stickiness.enabled': 'true', 'stickiness.type': isHttp ? 'lb_cookie' : 'source_ip' } : {}),
    }
    return new elb.CfnTargetGroup(this, id, {
      vpcId,
      port,
      // The machine ends TLS as well: nothing crosses the network in clear (PCI-DSS 4.0.1, 4.2.1).
      protocol: isHttp ? 'HTTPS' : 'TLS',
      targetType: 'instance',
      healthCheckEnabled: true,
      ...(health ? { healthCheckPath: health } : {}),
      healthCheckProtocol: health ? 'HTTPS' : isHttp ? 'HTTPS' : 'TCP',
      healthCheckIntervalSeconds: 10,
      healthyThresholdCount: 2,
      unhealthyThresholdCount: 3,
      targetGroupAttributes: Object.entries(attributes).map(([key, value]) => ({ key, value })),
    })
  }
}
