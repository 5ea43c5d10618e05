import { Aws, RemovalPolicy } from 'aws-cdk-lib'
import * as kms from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'
import { serving } from './serving.ts'

/** What a key protects. One each, so that a right to read logs is no right to read stores (PCI-DSS 4.0.1, 3.6–3.7). */
export type KeyPurpose = 'stores' | 'logs' | 'disks' | 'secrets'

/** Services that write logs under their own name and must be named in the key's policy. */
const logWriters = [
  'logs.amazonaws.com',
  'cloudtrail.amazonaws.com',
  'delivery.logs.amazonaws.com',
  'cloudwatch.amazonaws.com',
  'events.amazonaws.com',
  'sns.amazonaws.com',
  'budgets.amazonaws.com',
  'costalerts.amazonaws.com',
]

/** Keys of the company, which rotate every year and outlive the stack. */
export class Keys extends Construct {
  readonly #keys = new Map<KeyPurpose, kms.CfnKey>()

  constructor(scope: Construct) {
    super(scope, 'Keys')
    serving(this, 'security.keys')
    for (const purpose of ['stores', 'logs', 'disks', 'secrets'] as const) this.#keys.set(purpose, this.#key(purpose))
  }

  arn(purpose: KeyPurpose): string {
    return (this.#keys.get(purpose) as kms.CfnKey).attrArn
  }

  #key(purpose: KeyPurpose): kms.CfnKey {
    const key = new kms.CfnKey(this, purpose.charAt(0).toUpperCase() + purpose.slice(1), {
      description: `Replatform landing zone: ${purpose}`,
      enableKeyRotation: true,
      rotationPeriodInDays: 365,
      pendingWindowInDays: 30,
      keyPolicy: { Version: '2012-10-17', Statement: [ownAccount(), ...usersOf(purpose)] },
    })
    key.applyRemovalPolicy(RemovalPolicy.RETAIN)
    return key
  }
}

/** Without it nobody could administer the key any more; rights are then given by IAM. */
function ownAccount(): object {
  return {
    Sid: 'Account',
    Effect: 'Allow',
    Principal: { AWS: `arn:${Aws.PARTITION}:iam::${Aws.ACCOUNT_ID}:root` },
    Action: 'kms:*',
    Resource: '*',
  }
}

function usersOf(purpose: KeyPurpose): object[] {
  const use = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey']
  if (purpose === 'logs') {
    return [
      {
        Sid: 'Logs',
        Effect: 'Allow',
        Principal: { Service: logWriters },
        Action: use,
        Resource: '*',
        Condition: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      },
      {
        // CloudWatch Logs sends its own encryption context and no source account.
        Sid: 'LogGroups',
        Effect: 'Allow',
        Principal: { Service: `logs.${Aws.REGION}.amazonaws.com` },
        Action: use,
        Resource: '*',
        Condition: {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:*`,
          },
        },
      },
    ]
  }
  if (purpose !== 'disks') return []
  const groups = `arn:${Aws.PARTITION}:iam::${Aws.ACCOUNT_ID}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`
  return [
    { Sid: 'Scaling', Effect: 'Allow', Principal: { AWS: groups }, Action: use, Resource: '*' },
    {
      Sid: 'ScalingGrants',
      Effect: 'Allow',
      Principal: { AWS: groups },
      Action: 'kms:CreateGrant',
      Resource: '*',
      Condition: { Bool: { 'kms:GrantIsForAWSResource': true } },
    },
  ]
}
