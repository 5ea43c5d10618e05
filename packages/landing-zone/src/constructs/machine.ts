import { Aws } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'

export interface MachineOptions {
  readonly logGroupName: string
  /** Secrets whose name begins so are its own. */
  readonly secretPrefix: string
}

/** Where secrets of an environment stand: two in one account never read each other's. */
export function secretHome({ estate, environment }: Blueprint): string {
  return `${estate}-${environment}`
}

/**
 * What a machine may do: be administered by Session Manager (no SSH, no key), send its logs, read its own secrets.
 * Returns the name of its instance profile.
 */
export function machineProfile(scope: Construct, { logGroupName, secretPrefix }: MachineOptions): string {
  const root = accepting(
    new Construct(scope, 'Rights'),
    'Calls of Session Manager know no resource; log streams and secrets get names at run time and are held by their prefix.',
    'IAM5',
  )
  const account = `${Aws.PARTITION}:%s:${Aws.REGION}:${Aws.ACCOUNT_ID}`
  const arn = (service: string, resource: string) => `arn:${account.replace('%s', service)}:${resource}`
  const role = new iam.CfnRole(root, 'Role', {
    assumeRolePolicyDocument: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' }],
    },
    policies: [
      {
        policyName: 'machine',
        policyDocument: {
          Version: '2012-10-17',
          Statement: [
            {
              Sid: 'Administered',
              Effect: 'Allow',
              Action: [
                'ssm:UpdateInstanceInformation',
                'ssmmessages:CreateControlChannel',
                'ssmmessages:CreateDataChannel',
                'ssmmessages:OpenControlChannel',
                'ssmmessages:OpenDataChannel',
                'ec2messages:GetMessages',
                'ec2messages:AcknowledgeMessage',
                'ec2messages:SendReply',
                'ssm:GetDeployablePatchSnapshotForInstance',
                'ssm:PutInventory',
                'ssm:PutComplianceItems',
              ],
              // These calls know no resource (service authorization reference, AWS Systems Manager).
              Resource: '*',
            },
            {
              Sid: 'Logs',
              Effect: 'Allow',
              Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
              Resource: arn('logs', `log-group:${logGroupName}:*`),
            },
            {
              Sid: 'Metrics',
              Effect: 'Allow',
              Action: 'cloudwatch:PutMetricData',
              Resource: '*',
              Condition: { StringEquals: { 'cloudwatch:namespace': 'Machines' } },
            },
            {
              Sid: 'OwnSecrets',
              Effect: 'Allow',
              Action: 'secretsmanager:GetSecretValue',
              Resource: arn('secretsmanager', `secret:${secretPrefix}/*`),
            },
          ],
        },
      },
    ],
  })
  return new iam.CfnInstanceProfile(root, 'Profile', { roles: [role.ref] }).ref
}
