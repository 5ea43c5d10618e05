import { Tags } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'

export interface StatefulMachinesOptions {
  readonly name: string
  readonly count: number
  readonly template: ec2.CfnLaunchTemplate
  /** Machines go round them, so that each zone has its share. */
  readonly subnetIds: readonly string[]
  readonly incidentsArn: string
  readonly blueprint: Blueprint
}

/**
 * Machines of a service that keeps state on their disks: none is ever replaced, since its disk would go with it. When
 * the host fails AWS moves the machine with its disks to another; when the machine hangs it is started anew.
 */
export class StatefulMachines extends Construct {
  readonly ids: readonly string[]

  constructor(scope: Construct, options: StatefulMachinesOptions) {
    super(scope, 'Machines')
    accepting(
      this,
      'Disks and monitoring are described by the launch template, which the rule does not read.',
      'EC26',
      'EC28',
    )
    const { environment } = options.blueprint
    Tags.of(this).add('replatform:patch', environment)
    Tags.of(this).add('replatform:backup', environment)
    this.ids = Array.from({ length: options.count }, (_, index) => this.#machine(index, options))
  }

  #machine(index: number, { name, template, subnetIds, incidentsArn, blueprint }: StatefulMachinesOptions): string {
    const machine = new ec2.CfnInstance(this, `Machine${index + 1}`, {
      launchTemplate: { launchTemplateId: template.ref, version: template.attrLatestVersionNumber },
      subnetId: subnetIds[index % subnetIds.length] as string,
      disableApiTermination: true,
      ebsOptimized: true,
      tags: [{ key: 'Name', value: `${name}-${index + 1}` }],
    })
    for (const { metric, action, what } of recoveries) {
      new cloudwatch.CfnAlarm(this, `${action}${index + 1}`, {
        alarmDescription: `${name}-${index + 1}: ${what}`,
        namespace: 'AWS/EC2',
        metricName: metric,
        dimensions: [{ name: 'InstanceId', value: machine.ref }],
        statistic: 'Maximum',
        period: 60,
        evaluationPeriods: action === 'recover' ? 2 : 3,
        threshold: 1,
        comparisonOperator: 'GreaterThanOrEqualToThreshold',
        treatMissingData: 'breaching',
        alarmActions: [`arn:aws:automate:${blueprint.region}:ec2:${action}`, incidentsArn],
      })
    }
    return machine.ref
  }
}

/**
 * Source: Amazon EC2 user guide, "Create alarms that stop, terminate, reboot, or recover". A reboot waits one minute
 * longer, so that both never act at once.
 */
const recoveries = [
  { metric: 'StatusCheckFailed_System', action: 'recover', what: 'its host failed, AWS moves it to another' },
  { metric: 'StatusCheckFailed_Instance', action: 'reboot', what: 'it hangs and is started anew' },
] as const
