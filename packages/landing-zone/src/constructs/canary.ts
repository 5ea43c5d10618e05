import { Aws } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as s3 from 'aws-cdk-lib/aws-s3'
import * as synthetics from 'aws-cdk-lib/aws-synthetics'
import { Construct } from 'constructs'
import { accepting } from './accepting.ts'
import type { Watched } from './dashboards.ts'
import { keptDays } from './logs.ts'
import { pascal } from './network.ts'
import { PrivateBucket } from './private-bucket.ts'
import { serving } from './serving.ts'

export interface CanaryOptions {
  readonly service: string
  /** Public name and path of what says that payments can be made. */
  readonly host: string
  readonly path: string
  readonly keyArn: string
  readonly accessLogs: s3.CfnBucket
}

/** Asks as a customer would, every minute, from outside: what no inner figure can tell. */
export class PaymentCanary extends Construct {
  readonly watched: Watched

  constructor(scope: Construct, prefix: string, { service, host, path, keyArn, accessLogs }: CanaryOptions) {
    super(scope, `${pascal(service)}Canary`)
    serving(this, 'operations.incidents')
    accepting(this, 'Results and logs of one canary, under names that the service chooses.', 'IAM5')
    const { bucket } = new PrivateBucket(this, 'Results', { keyArn, logBucket: accessLogs, expireDays: keptDays })
    // 21 characters are all that a canary's name may have.
    const name = `${prefix}-${service}`.slice(0, 21).replace(/-+$/, '')
    const role = new iam.CfnRole(this, 'Role', {
      assumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
      },
      policies: [{ policyName: 'canary', policyDocument: rights(bucket.attrArn, keyArn, name) }],
    })
    const canary = new synthetics.CfnCanary(this, 'Canary', {
      name,
      executionRoleArn: role.attrArn,
      artifactS3Location: `s3://${bucket.ref}/canary`,
      artifactConfig: { s3Encryption: { encryptionMode: 'SSE_KMS', kmsKeyArn: keyArn } },
      runtimeVersion: 'syn-nodejs-puppeteer-9.1',
      schedule: { expression: 'rate(1 minute)' },
      startCanaryAfterCreation: true,
      successRetentionPeriod: 31,
      failureRetentionPeriod: 31,
      code: { handler: 'index.handler', script: script(host, path) },
    })
    this.watched = {
      kind: 'service',
      name: `${service}-canary`,
      namespace: 'CloudWatchSynthetics',
      dimensions: [{ name: 'CanaryName', value: canary.ref }],
      metrics: [
        { name: 'SuccessPercent', title: 'Answers from outside, %', statistic: 'Average', alarm: { below: 90 } },
        { name: 'Duration', title: 'Time from outside, ms', statistic: 'Average' },
      ],
    }
  }
}

function rights(bucketArn: string, keyArn: string, canary: string): object {
  return {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: ['s3:PutObject', 's3:GetBucketLocation'], Resource: [bucketArn, `${bucketArn}/*`] },
      { Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:Decrypt'], Resource: keyArn },
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/lambda/cwsyn-${canary}-*`,
      },
      {
        Effect: 'Allow',
        Action: 'cloudwatch:PutMetricData',
        Resource: '*',
        Condition: { StringEquals: { 'cloudwatch:namespace': 'CloudWatchSynthetics' } },
      },
    ],
  }
}

function script(hostname: string, path: string): string {
  const request = JSON.stringify({ hostname, path, method: 'GET', protocol: 'https:', port: 443 })
  return [
    "const synthetics = require('Synthetics')",
    'exports.handler = async () => {',
    `  await synthetics.executeHttpStep('ready', ${request}, async (response) => {`,
    "    if (response.statusCode !== 200) throw new Error('status ' + response.statusCode)",
    '  })',
    '}',
    '',
  ].join('\n')
}
