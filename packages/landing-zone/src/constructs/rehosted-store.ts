import { Tags } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { machineProfile, secretHome } from './machine.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'
import { type StoreContext, storeId, type WatchedStore } from './store-context.ts'

/**
 * The machine of a store until the second phase takes it away: as it was, on an encrypted disk, recovered by AWS when
 * its host fails. Its own replication, where it had one, stays its own business.
 */
export function rehostedStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const { blueprint, subnetIds, securityGroupId, keyArn, incidentsArn } = context
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  accepting(
    root,
    'Disks and monitoring are described by the launch template, which the rule does not read.',
    'EC26',
    'EC28',
  )
  const template = new ec2.CfnLaunchTemplate(root, 'Template', {
    launchTemplateName: `${storeId(blueprint, store)}-machine`,
    launchTemplateData: {
      instanceType: store.size?.instanceClass as string,
      imageId: '{{resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}}',
      metadataOptions: { httpTokens: 'required', httpEndpoint: 'enabled', httpPutResponseHopLimit: 1 },
      monitoring: { enabled: true },
      blockDeviceMappings: [
        {
          deviceName: '/dev/xvda',
          ebs: {
            encrypted: true,
            kmsKeyId: keyArn,
            volumeType: 'gp3',
            volumeSize: store.diskGiB,
            deleteOnTermination: false,
          },
        },
      ],
    },
  })
  const machine = new ec2.CfnInstance(root, 'Machine', {
    launchTemplate: { launchTemplateId: template.ref, version: template.attrLatestVersionNumber },
    subnetId: subnetIds[0] as string,
    securityGroupIds: [securityGroupId],
    iamInstanceProfile: machineProfile(root, {
      logGroupName: context.servicesLogName,
      secretPrefix: `${secretHome(blueprint)}/store/${store.name}`,
    }),
    disableApiTermination: true,
    ebsOptimized: true,
  })
  Tags.of(root).add('replatform:patch', blueprint.environment)
  const dimensions = [{ name: 'InstanceId', value: machine.ref }]
  new cloudwatch.CfnAlarm(root, 'Recovery', {
    alarmDescription: `The host of ${store.name} failed: AWS moves the machine to another`,
    namespace: 'AWS/EC2',
    metricName: 'StatusCheckFailed_System',
    dimensions,
    statistic: 'Maximum',
    period: 60,
    evaluationPeriods: 2,
    threshold: 1,
    comparisonOperator: 'GreaterThanOrEqualToThreshold',
    treatMissingData: 'breaching',
    alarmActions: [`arn:aws:automate:${blueprint.region}:ec2:recover`, incidentsArn],
  })
  return {
    kind: 'store',
    name: store.name,
    namespace: 'AWS/EC2',
    dimensions,
    metrics: [
      { name: 'CPUUtilization', title: 'Processor, %', statistic: 'Average', alarm: { above: 85 } },
      { name: 'StatusCheckFailed', title: 'Failed checks', statistic: 'Maximum', alarm: { above: 0 } },
    ],
  }
}
