import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { Construct } from 'constructs'
import type { PlannedService } from '../plan/blueprint.ts'
import type { ServiceContext } from './service.ts'

/** TLS 1.2 and 1.3 with forward secrecy. Source: Elastic Load Balancing user guide, "Security policies". */
const tlsPolicy = 'ELBSecurityPolicy-TLS13-1-2-2021-06'

/** In front of a service: an application balancer for HTTP, a network balancer for everything else. TLS ends here. */
export class Balancer extends Construct {
  readonly arn: string
  readonly dnsName: string
  readonly hostedZoneId: string
  readonly fullName: string
  readonly targetGroupArn: string
  readonly targetGroupName: string
  readonly isPublic: boolean
  readonly isHttp: boolean

  constructor(scope: Construct, service: PlannedService, context: ServiceContext) {
    super(scope, 'Balancer')
    this.isHttp = (service.protocol ?? 'http') === 'http'
    this.isPublic = service.from.includes('internet')
    const balancer = this.#balancer(context)
    const group = this.#targets(service, context)
    this.arn = balancer.ref
    this.dnsName = balancer.attrDnsName
    this.hostedZoneId = balancer.attrCanonicalHostedZoneId
    this.fullName = balancer.attrLoadBalancerFullName
    this.targetGroupArn = group.ref
    this.targetGroupName = group.attrTargetGroupFullName
    new elb.CfnListener(this, 'Listener', {
      loadBalancerArn: balancer.ref,
      port: 443,
      protocol: this.isHttp ? 'HTTPS' : 'TLS',
      sslPolicy: tlsPolicy,
      certificates: [{ certificateArn: context.certificateArn }],
      defaultActions: [{ type: 'forward', targetGroupArn: group.ref }],
    })
  }

  #balancer({
    publicSubnetIds,
    appSubnetIds,
    balancerGroupId,
    accessLogsBucket,
    blueprint,
  }: ServiceContext): elb.CfnLoadBalancer {
    const attributes = {
      'deletion_protection.enabled': String(blueprint.isProduction),
      'access_logs.s3.enabled': 'true',
      'access_logs.s3.bucket': accessLogsBucket,
      'load_balancing.cross_zone.enabled': 'true',
      ...(this.isHttp
        ? {
            'routing.http.drop_invalid_header_fields.enabled': 'true',
            'routing.http.desync_mitigation_mode': 'strictest',
            'idle_timeout.timeout_seconds': '60',
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

  #targets({ port, health, protocol = 'http' }: PlannedService, { vpcId }: ServiceContext): elb.CfnTargetGroup {
    const isHttp = protocol === 'http'
    return new elb.CfnTargetGroup(this, 'Targets', {
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
      targetGroupAttributes: [{ key: 'deregistration_delay.timeout_seconds', value: '60' }],
    })
  }
}
