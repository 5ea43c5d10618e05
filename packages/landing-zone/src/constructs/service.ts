import { Tags } from 'aws-cdk-lib'
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import type * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { Construct } from 'constructs'
import type { Blueprint, PlannedService } from '../plan/blueprint.ts'
import { Balancer } from './balancer.ts'
import { machineProfile, secretHome } from './machine.ts'
import { scheduleMachines } from './machine-schedule.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'
import { StatefulMachines } from './stateful-machines.ts'

export interface ServiceContext {
  readonly blueprint: Blueprint
  readonly vpcId: string
  readonly publicSubnetIds: readonly string[]
  readonly appSubnetIds: readonly string[]
  readonly serviceGroupId: string
  readonly balancerGroupId: string
  readonly disksKeyArn: string
  readonly certificateArn: string
  readonly accessLogsBucket: string
  readonly servicesLogName: string
  readonly incidentsArn: string
}

/**
 * A service on machines behind a balancer, spread over the zones. Stateless ones are replaced by the balancer's own
 * judgement of their health and renewed one after the other; stateful ones are never replaced but recovered.
 */
export class Service extends Construct {
  readonly name: string
  readonly balancer: Balancer
  readonly #machines: autoscaling.CfnAutoScalingGroup | StatefulMachines

  constructor(scope: Construct, service: PlannedService, context: ServiceContext) {
    super(scope, pascal(service.name))
    serving(this, `service.${service.name}`, 'availability.zones')
    this.name = service.name
    this.balancer = new Balancer(this, service, context)
    const template = this.#template(service, context)
    if (service.stateful) this.#machines = this.#keep(service, template, context)
    else this.#machines = this.#group(service, template, context)
  }

  /** Its machines answer at another service's balancer too. */
  join(targets: elb.CfnTargetGroup): void {
    const machines = this.#machines
    if (machines instanceof StatefulMachines) targets.targets = machines.ids.map((id) => ({ id }))
    else machines.targetGroupArns = [...(machines.targetGroupArns ?? []), targets.ref]
  }

  #template({ name, instances, stateful = false }: PlannedService, context: ServiceContext): ec2.CfnLaunchTemplate {
    const { serviceGroupId, disksKeyArn, servicesLogName, blueprint } = context
    const profile = machineProfile(this, {
      logGroupName: servicesLogName,
      secretPrefix: `${secretHome(blueprint)}/service/${name}`,
    })
    return new ec2.CfnLaunchTemplate(this, 'Template', {
      launchTemplateName: `${blueprint.estate}-${blueprint.environment}-${name}`,
      launchTemplateData: {
        instanceType: instances.type,
        imageId: instances.image ?? newestLinux,
        iamInstanceProfile: { name: profile },
        securityGroupIds: [serviceGroupId],
        metadataOptions: { httpTokens: 'required', httpEndpoint: 'enabled', httpPutResponseHopLimit: 1 },
        monitoring: { enabled: true },
        ebsOptimized: true,
        blockDeviceMappings: [
          {
            deviceName: '/dev/xvda',
            ebs: { encrypted: true, kmsKeyId: disksKeyArn, volumeType: 'gp3', deleteOnTermination: !stateful },
          },
        ],
      },
    })
  }

  #keep(
    { name, least }: PlannedService,
    template: ec2.CfnLaunchTemplate,
    { appSubnetIds, incidentsArn, blueprint }: ServiceContext,
  ): StatefulMachines {
    const options = { name, count: least, template, subnetIds: appSubnetIds, incidentsArn, blueprint }
    const machines = new StatefulMachines(this, options)
    this.balancer.targets.targets = machines.ids.map((id) => ({ id }))
    return machines
  }

  #group(
    service: PlannedService,
    template: ec2.CfnLaunchTemplate,
    context: ServiceContext,
  ): autoscaling.CfnAutoScalingGroup {
    const group = new autoscaling.CfnAutoScalingGroup(this, 'Group', {
      minSize: String(service.least),
      maxSize: String(service.most),
      vpcZoneIdentifier: [...context.appSubnetIds],
      launchTemplate: { launchTemplateId: template.ref, version: template.attrLatestVersionNumber },
      targetGroupArns: [this.balancer.targets.ref],
      healthCheckType: 'ELB',
      healthCheckGracePeriod: 300,
      metricsCollection: [{ granularity: '1Minute' }],
      notificationConfigurations: [
        {
          topicArn: context.incidentsArn,
          notificationTypes: ['LAUNCH', 'LAUNCH_ERROR', 'TERMINATE', 'TERMINATE_ERROR'].map(
            (event) => `autoscaling:EC2_INSTANCE_${event}`,
          ),
        },
      ],
      tags: [{ key: 'Name', value: service.name, propagateAtLaunch: true }],
    })
    // A changed image reaches the machines by turns; one that does not become healthy stops the rest.
    group.cfnOptions.updatePolicy = {
      autoScalingRollingUpdate: {
        minInstancesInService: Math.max(0, service.least - 1),
        maxBatchSize: 1,
        pauseTime: 'PT5M',
        suspendProcesses: ['AZRebalance', 'AlarmNotification', 'ScheduledActions'],
      },
    }
    Tags.of(group).add('replatform:patch', context.blueprint.environment)
    if (service.scaleAtCpu !== undefined) this.#scale(group, service.scaleAtCpu)
    scheduleMachines(this, group, service, context.blueprint)
    return group
  }

  #scale(group: autoscaling.CfnAutoScalingGroup, targetValue: number): void {
    new autoscaling.CfnScalingPolicy(this, 'Scaling', {
      autoScalingGroupName: group.ref,
      policyType: 'TargetTrackingScaling',
      targetTrackingConfiguration: {
        targetValue,
        predefinedMetricSpecification: { predefinedMetricType: 'ASGAverageCPUUtilization' },
      },
      estimatedInstanceWarmup: 180,
    })
  }
}

/** Looked up whenever a machine starts, so that a renewed one has the newest. */
const newestLinux = 'resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64'
