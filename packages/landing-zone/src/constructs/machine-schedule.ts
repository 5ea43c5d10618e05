import { Aws } from 'aws-cdk-lib'
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as scheduler from 'aws-cdk-lib/aws-scheduler'
import { Construct } from 'constructs'
import type { Blueprint, PlannedService } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { serving } from './serving.ts'

/** What a clock does to the machines of a stateless service: more or fewer, none off-hours, and fresh ones every week. */
export function scheduleMachines(
  scope: Construct,
  group: autoscaling.CfnAutoScalingGroup,
  service: PlannedService,
  { settings }: Blueprint,
): void {
  const { offHours } = settings
  if (offHours) rest(scope, group, service, offHours)
  scale(scope, group, service)
  if (!service.instances.image) renew(scope, group)
}

/** Off-hours: no machine in the evening, all of them in the morning. */
function rest(
  scope: Construct,
  group: autoscaling.CfnAutoScalingGroup,
  { least, most }: PlannedService,
  { stop, start, timeZone }: NonNullable<Blueprint['settings']['offHours']>,
): void {
  const root = serving(new Construct(scope, 'OffHours'), 'operations.cost')
  const common = { autoScalingGroupName: group.ref, timeZone }
  new autoscaling.CfnScheduledAction(root, 'Stop', {
    ...common,
    recurrence: cron(stop, '*'),
    minSize: 0,
    maxSize: 0,
    desiredCapacity: 0,
  })
  new autoscaling.CfnScheduledAction(root, 'Start', {
    ...common,
    recurrence: cron(start, 'MON-FRI'),
    minSize: least,
    maxSize: most,
    desiredCapacity: least,
  })
}

/** Peaks that are known before they come: paydays, evenings. Target tracking still adds what nobody foresaw. */
function scale(scope: Construct, group: autoscaling.CfnAutoScalingGroup, { schedule, most }: PlannedService): void {
  for (const [index, { at, days = '*', timeZone, least }] of (schedule ?? []).entries()) {
    new autoscaling.CfnScheduledAction(scope, `Scheduled${index + 1}`, {
      autoScalingGroupName: group.ref,
      timeZone,
      recurrence: cron(at, days),
      minSize: least,
      maxSize: Math.max(most, least),
    })
  }
}

/**
 * Every week machines are replaced by turns with fresh ones of the newest image: what was patched in place, or changed by
 * hand, does not last. A new machine must be healthy before an old one goes. Not for an image of the estate's own: it
 * would bring back what was patched since; there the image is changed, and the group renews itself by turns.
 */
function renew(scope: Construct, group: autoscaling.CfnAutoScalingGroup): void {
  const root = accepting(
    serving(new Construct(scope, 'Renewal'), 'operations.patching'),
    'A group’s ARN holds an id that only AWS knows; its name is one group’s.',
    'IAM5',
  )
  const account = `${Aws.REGION}:${Aws.ACCOUNT_ID}`
  const role = new iam.CfnRole(root, 'Role', {
    assumeRolePolicyDocument: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'scheduler.amazonaws.com' },
          Action: 'sts:AssumeRole',
          Condition: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
        },
      ],
    },
    policies: [
      {
        policyName: 'renew',
        policyDocument: {
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Action: 'autoscaling:StartInstanceRefresh',
              Resource: `arn:${Aws.PARTITION}:autoscaling:${account}:autoScalingGroup:*:autoScalingGroupName/${group.ref}`,
            },
          ],
        },
      },
    ],
  })
  new scheduler.CfnSchedule(root, 'Weekly', {
    scheduleExpression: 'cron(0 18 ? * SUN *)',
    flexibleTimeWindow: { mode: 'OFF' },
    target: {
      arn: `arn:${Aws.PARTITION}:scheduler:::aws-sdk:autoscaling:startInstanceRefresh`,
      roleArn: role.attrArn,
      input: JSON.stringify({
        AutoScalingGroupName: group.ref,
        Preferences: { MinHealthyPercentage: 100, MaxHealthyPercentage: 110, InstanceWarmup: 300 },
      }),
      retryPolicy: { maximumRetryAttempts: 3 },
    },
  })
}

function cron(time: string, days: string): string {
  return `${Number(time.slice(3))} ${Number(time.slice(0, 2))} * * ${days}`
}
