import { Tags } from 'aws-cdk-lib'
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint, PlannedService } from '../plan/blueprint.ts'
import { Balancer } from './balancer.ts'
import { machineProfile } from './machine.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'

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
 * A service on machines behind a balancer: spread over the zones, replaced by the balancer's own judgement of their
 * health, renewed one after the other when their image changes.
 */
export class Service extends Construct {
  readonly name: string
  readonly balancer: Balancer
  readonly groupName: string
  readonly #group: autoscaling.CfnAutoScalingGroup

  constructor(scope: Construct, service: PlannedService, context: ServiceContext) {
    super(scope, pascal(service.name))
    serving(this, `service.${service.name}`, 'availability.zones')
    this.name = service.name
    this.balancer = new Balancer(this, service, context)
    const template = this.#template(service, context)
    const group = this.#machines(service, template, context)
    this.#group = group
    this.groupName = group.ref
    if (service.scaleAtCpu !== undefined) this.#scale(group, service.scaleAtCpu)
    this.#rest(group, service, context)
  }

  /** Its machines answer at another service's balancer too. */
  join(targetGroupArn: string): void {
    this.#group.targetGroupArns = [...(this.#group.targetGroupArns ?? []), targetGroupArn]
  }

  #template({ name, instances }: PlannedService, context: ServiceContext): ec2.CfnLaunchTemplate {
    const { serviceGroupId, disksKeyArn, servicesLogName } = context
    const profile = machineProfile(this, { logGroupName: servicesLogName, secretPrefix: `service/${name}` })
    return new ec2.CfnLaunchTemplate(this, 'Template', {
      launchTemplateName: `${context.blueprint.environment}-${name}`,
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
            ebs: { encrypted: true, kmsKeyId: disksKeyArn, volumeType: 'gp3', deleteOnTermination: true },
          },
        ],
      },
    })
  }

  #machines(
    service: PlannedService,
    template: ec2.CfnLaunchTemplate,
    context: ServiceContext,
  ): autoscaling.CfnAutoScalingGroup {
    const group = new autoscaling.CfnAutoScalingGroup(this, 'Group', {
      minSize: String(service.least),
      maxSize: String(service.most),
      vpcZoneIdentifier: [...context.appSubnetIds],
      launchTemplate: { launchTemplateId: template.ref, version: template.attrLatestVersionNumber },
      targetGroupArns: [this.balancer.targetGroupArn],
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
    Tags.of(group).add('replatform:patch', 'servers')
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

  /** Off-hours: no machine in the evening, all of them in the morning. */
  #rest(
    group: autoscaling.CfnAutoScalingGroup,
    { least, most, stateful }: PlannedService,
    { blueprint }: ServiceContext,
  ): void {
    const { offHours } = blueprint.settings
    if (!offHours || stateful) return
    const scope = serving(new Construct(this, 'OffHours'), 'operations.cost')
    const at = (time: string, days: string) => `${Number(time.slice(3))} ${Number(time.slice(0, 2))} * * ${days}`
    const common = { autoScalingGroupName: group.ref, timeZone: offHours.timeZone }
    new autoscaling.CfnScheduledAction(scope, 'Stop', {
      ...common,
      recurrence: at(offHours.stop, '*'),
      minSize: 0,
      maxSize: 0,
      desiredCapacity: 0,
    })
    new autoscaling.CfnScheduledAction(scope, 'Start', {
      ...common,
      recurrence: at(offHours.start, 'MON-FRI'),
      minSize: least,
      maxSize: most,
      desiredCapacity: least,
    })
  }
}

const newestLinux = '{{resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}}'
