import { Aws } from 'aws-cdk-lib'
import * as backup from 'aws-cdk-lib/aws-backup'
import * as fis from 'aws-cdk-lib/aws-fis'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as inspector from 'aws-cdk-lib/aws-inspectorv2'
import * as ssm from 'aws-cdk-lib/aws-ssm'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { serving } from './serving.ts'

/** Copies of what AWS Backup covers, in a vault that not even the account's owner can empty before its time. */
export class Backups extends Construct {
  constructor(scope: Construct, { estate, environment, isProduction }: Blueprint, keyArn: string) {
    super(scope, 'Backups')
    serving(this, 'operations.backup')
    accepting(this, 'The policy that AWS keeps for Backup grows with the services it covers.', 'IAM4')
    const days = isProduction ? 35 : 7
    const vault = new backup.CfnBackupVault(this, 'Vault', {
      backupVaultName: `${estate}-${environment}`,
      encryptionKeyArn: keyArn,
      ...(isProduction
        ? { lockConfiguration: { minRetentionDays: 7, maxRetentionDays: 400, changeableForDays: 7 } }
        : {}),
    })
    const plan = new backup.CfnBackupPlan(this, 'Plan', {
      backupPlan: {
        backupPlanName: `${estate}-${environment}`,
        backupPlanRule: [
          {
            ruleName: 'daily',
            targetBackupVault: vault.ref,
            scheduleExpression: 'cron(0 18 * * ? *)',
            lifecycle: { deleteAfterDays: days },
            enableContinuousBackup: true,
          },
        ],
      },
    })
    const role = new iam.CfnRole(this, 'Role', {
      assumeRolePolicyDocument: trusting('backup.amazonaws.com'),
      // Objects have a policy of their own (AWS Backup developer guide, "Creating Amazon S3 backups").
      managedPolicyArns: [
        'service-role/AWSBackupServiceRolePolicyForBackup',
        'AWSBackupServiceRolePolicyForS3Backup',
      ].map((policy) => `arn:${Aws.PARTITION}:iam::aws:policy/${policy}`),
    })
    new backup.CfnBackupSelection(this, 'Selection', {
      backupPlanId: plan.ref,
      backupSelection: {
        selectionName: 'tagged',
        iamRoleArn: role.attrArn,
        listOfTags: [{ conditionType: 'STRINGEQUALS', conditionKey: 'replatform:backup', conditionValue: environment }],
      },
    })
  }
}

/** Security updates by themselves, in a window of their own, reported where somebody looks. */
export class Patching extends Construct {
  constructor(scope: Construct, { estate, environment }: Blueprint) {
    super(scope, 'Patching')
    serving(this, 'operations.patching')
    const window = new ssm.CfnMaintenanceWindow(this, 'Window', {
      name: `${estate}-${environment}-patching`,
      schedule: 'cron(0 20 ? * SUN *)',
      duration: 3,
      cutoff: 1,
      allowUnassociatedTargets: false,
    })
    const targets = [{ key: 'tag:replatform:patch', values: [environment] }]
    const target = new ssm.CfnMaintenanceWindowTarget(this, 'Servers', {
      windowId: window.ref,
      resourceType: 'INSTANCE',
      targets,
    })
    new ssm.CfnMaintenanceWindowTask(this, 'Patch', {
      windowId: window.ref,
      taskType: 'RUN_COMMAND',
      taskArn: 'AWS-RunPatchBaseline',
      priority: 1,
      maxConcurrency: '1',
      maxErrors: '0',
      targets: [{ key: 'WindowTargetIds', values: [target.ref] }],
      taskInvocationParameters: {
        maintenanceWindowRunCommandParameters: {
          parameters: { Operation: ['Install'], RebootOption: ['RebootIfNeeded'] },
        },
      },
    })
    new inspector.CfnCisScanConfiguration(this, 'Hardening', {
      scanName: `${estate}-${environment}-hardening`,
      securityLevel: 'LEVEL_1',
      schedule: { weekly: { days: ['SUN'], startTime: { timeOfDay: '22:00', timeZone: 'UTC' } } },
      targets: { accountIds: ['SELF'], targetResourceTags: { 'replatform:patch': [environment] } },
    })
  }
}

export interface ExperimentTargets {
  readonly subnetArns: readonly string[]
  readonly databaseArns: readonly string[]
  /** An alarm that says payments suffer: the experiment ends at once. */
  readonly stopAlarmArn: string
}

/** What is said to survive, tried: a zone without network, a primary that fails over. Started by a person, never by itself. */
export class Experiments extends Construct {
  constructor(scope: Construct, targets: ExperimentTargets) {
    super(scope, 'Experiments')
    serving(this, 'operations.resilience')
    accepting(this, 'The policies that AWS keeps for experiments; they act on what a template names only.', 'IAM4')
    const { subnetArns, databaseArns, stopAlarmArn } = targets
    const role = new iam.CfnRole(this, 'Role', {
      assumeRolePolicyDocument: trusting('fis.amazonaws.com'),
      managedPolicyArns: ['Network', 'RDS'].map(
        (area) => `arn:${Aws.PARTITION}:iam::aws:policy/service-role/AWSFaultInjectionSimulator${area}Access`,
      ),
    })
    const common = { roleArn: role.attrArn, stopConditions: [{ source: 'aws:cloudwatch:alarm', value: stopAlarmArn }] }
    new fis.CfnExperimentTemplate(this, 'ZoneLost', {
      ...common,
      description:
        'One zone loses its network for ten minutes. Must hold: payments go on, errors below 1 % after 60 s.',
      tags: { Name: 'zone-lost' },
      targets: { Subnets: { resourceType: 'aws:ec2:subnet', resourceArns: [...subnetArns], selectionMode: 'ALL' } },
      actions: {
        Cut: {
          actionId: 'aws:network:disrupt-connectivity',
          parameters: { duration: 'PT10M', scope: 'all' },
          targets: { Subnets: 'Subnets' },
        },
      },
    })
    if (databaseArns.length === 0) return
    new fis.CfnExperimentTemplate(this, 'PrimaryLost', {
      ...common,
      description:
        'The primaries of the relational stores fail over. Must hold: no payment lost, answers again within 120 s.',
      tags: { Name: 'primary-lost' },
      targets: { Databases: { resourceType: 'aws:rds:db', resourceArns: [...databaseArns], selectionMode: 'ALL' } },
      actions: {
        FailOver: {
          actionId: 'aws:rds:reboot-db-instances',
          parameters: { forceFailover: 'true' },
          targets: { DBInstances: 'Databases' },
        },
      },
    })
  }
}

function trusting(service: string): object {
  return {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { Service: service }, Action: 'sts:AssumeRole' }],
  }
}
