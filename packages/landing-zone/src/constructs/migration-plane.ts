import { Aws, RemovalPolicy } from 'aws-cdk-lib'
import * as ecs from 'aws-cdk-lib/aws-ecs'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as rds from 'aws-cdk-lib/aws-rds'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { secretHome } from './machine.ts'
import { serving } from './serving.ts'

export interface MigrationContext {
  readonly appSubnetIds: readonly string[]
  readonly dataSubnetIds: readonly string[]
  readonly securityGroupId: string
  readonly keyArn: string
  readonly secretsKeyArn: string
  readonly servicesLogName: string
}

/**
 * What moves the data, and goes when the last wave is finalized: the control database and workers, in private subnets.
 * Each move reads two secrets and nothing else; a move that is gone takes its right with it.
 */
export class MigrationPlane extends Construct {
  constructor(scope: Construct, blueprint: Blueprint, context: MigrationContext) {
    super(scope, 'MigrationPlane')
    serving(this, 'migration')
    accepting(this, 'Secrets and log streams end in letters that AWS chooses; each move names its own two.', 'IAM5')
    this.#control(blueprint, context)
    const { stores } = blueprint
    const taskRole = this.#taskRole()
    for (const { name } of stores) this.#grant(name, taskRole, blueprint)
    this.#workers(blueprint, context, taskRole)
  }

  #control({ estate, environment, isProduction }: Blueprint, context: MigrationContext): void {
    const subnets = new rds.CfnDBSubnetGroup(this, 'ControlSubnets', {
      dbSubnetGroupDescription: 'Control database of the migration',
      subnetIds: [...context.dataSubnetIds],
    })
    const parameters = new rds.CfnDBParameterGroup(this, 'ControlParameters', {
      description: 'Control database of the migration',
      family: 'postgres17',
      parameters: { 'rds.force_ssl': '1', 'log_connections': '1', 'log_disconnections': '1' },
    })
    const control = new rds.CfnDBInstance(this, 'Control', {
      engine: 'postgres',
      engineVersion: '17.6',
      dbInstanceIdentifier: `${estate}-${environment}-migration`,
      dbInstanceClass: 'db.t4g.medium',
      dbParameterGroupName: parameters.ref,
      dbSubnetGroupName: subnets.ref,
      allocatedStorage: '20',
      storageType: 'gp3',
      multiAz: isProduction,
      port: '6432',
      masterUsername: 'replatform',
      manageMasterUserPassword: true,
      masterUserSecret: { kmsKeyId: context.secretsKeyArn },
      storageEncrypted: true,
      kmsKeyId: context.keyArn,
      enableIamDatabaseAuthentication: true,
      deletionProtection: true,
      backupRetentionPeriod: 7,
      copyTagsToSnapshot: true,
      autoMinorVersionUpgrade: true,
      publiclyAccessible: false,
      enableCloudwatchLogsExports: ['postgresql'],
      vpcSecurityGroups: [context.securityGroupId],
    })
    // Decisions of cutovers stand in it: it is kept as a snapshot when the plane goes.
    control.applyRemovalPolicy(RemovalPolicy.SNAPSHOT)
  }

  #taskRole(): iam.CfnRole {
    return new iam.CfnRole(this, 'MoverRole', { assumeRolePolicyDocument: trusting('ecs-tasks.amazonaws.com') })
  }

  /** The two addresses of one move, under names that only it has. */
  #grant(store: string, role: iam.CfnRole, blueprint: Blueprint): void {
    const scope = serving(new Construct(this, `Move-${store}`), `migration.${store}`)
    new iam.CfnPolicy(scope, 'Secrets', {
      policyName: `move-${store}`,
      roles: [role.ref],
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: 'secretsmanager:GetSecretValue',
            Resource: ['source', 'target'].map(
              (side) =>
                `arn:${Aws.PARTITION}:secretsmanager:${Aws.REGION}:${Aws.ACCOUNT_ID}:secret:${secretHome(blueprint)}/migration/${store}/${side}-*`,
            ),
          },
        ],
      },
    })
  }

  #workers({ estate, environment }: Blueprint, context: MigrationContext, taskRole: iam.CfnRole): void {
    const cluster = new ecs.CfnCluster(this, 'Workers', {
      clusterName: `${estate}-${environment}-migration`,
      clusterSettings: [{ name: 'containerInsights', value: 'enabled' }],
    })
    const task = new ecs.CfnTaskDefinition(this, 'Worker', {
      family: `${estate}-${environment}-worker`,
      requiresCompatibilities: ['FARGATE'],
      networkMode: 'awsvpc',
      cpu: '2048',
      memory: '4096',
      taskRoleArn: taskRole.attrArn,
      executionRoleArn: this.#executionRole(context).attrArn,
      containerDefinitions: [
        {
          name: 'worker',
          image: `${Aws.ACCOUNT_ID}.dkr.ecr.${Aws.REGION}.amazonaws.com/replatform:latest`,
          command: ['worker', '--estate', '/etc/replatform/estate.yaml'],
          readonlyRootFilesystem: true,
          logConfiguration: {
            logDriver: 'awslogs',
            options: {
              'awslogs-group': context.servicesLogName,
              'awslogs-region': Aws.REGION,
              'awslogs-stream-prefix': 'migration',
            },
          },
        },
      ],
    })
    new ecs.CfnService(this, 'Service', {
      cluster: cluster.ref,
      taskDefinition: task.ref,
      desiredCount: 2,
      launchType: 'FARGATE',
      enableExecuteCommand: false,
      deploymentConfiguration: { minimumHealthyPercent: 50, maximumPercent: 200 },
      networkConfiguration: {
        awsvpcConfiguration: {
          assignPublicIp: 'DISABLED',
          subnets: [...context.appSubnetIds],
          securityGroups: [context.securityGroupId],
        },
      },
    })
  }

  #executionRole({ servicesLogName }: MigrationContext): iam.CfnRole {
    const account = `${Aws.REGION}:${Aws.ACCOUNT_ID}`
    return new iam.CfnRole(this, 'ExecutionRole', {
      assumeRolePolicyDocument: trusting('ecs-tasks.amazonaws.com'),
      policies: [
        {
          policyName: 'start',
          policyDocument: {
            Version: '2012-10-17',
            Statement: [
              // Knows no resource (service authorization reference, Amazon ECR).
              { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
              {
                Effect: 'Allow',
                Action: ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
                Resource: `arn:${Aws.PARTITION}:ecr:${account}:repository/replatform`,
              },
              {
                Effect: 'Allow',
                Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
                Resource: `arn:${Aws.PARTITION}:logs:${account}:log-group:${servicesLogName}:*`,
              },
            ],
          },
        },
      ],
    })
  }
}

function trusting(service: string): object {
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: service },
        Action: 'sts:AssumeRole',
        Condition: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      },
    ],
  }
}
