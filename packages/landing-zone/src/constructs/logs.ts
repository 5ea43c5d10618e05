import { RemovalPolicy } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as logs from 'aws-cdk-lib/aws-logs'
import type * as s3 from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { pascal } from './network.ts'
import { PrivateBucket } from './private-bucket.ts'
import { serving } from './serving.ts'

/** PCI-DSS 4.0.1, 10.5.1: twelve months, three of them at hand. */
export const keptDays = 400

const standing = ['flows', 'tunnels', 'people', 'trail', 'services', 'waf', 'queries'] as const
/** Of the firewall, where there is one. */
const ofFirewall = ['firewall-flows', 'firewall-alerts'] as const
export type LogName = (typeof standing)[number] | (typeof ofFirewall)[number]

/** Where logs go: groups to search in, a bucket for what only writes files. */
export class Logs extends Construct {
  /** Access logs of balancers and buckets. */
  readonly accessLogs: s3.CfnBucket
  readonly #groups = new Map<LogName, logs.CfnLogGroup>()
  readonly #writer: iam.CfnRole

  constructor(scope: Construct, { estate, environment, firewallZones }: Blueprint, keyArn: string) {
    super(scope, 'Logs')
    serving(this, 'security.audit-trail')
    const prefix = `${estate}-${environment}`
    for (const name of [...standing, ...(firewallZones.length > 0 ? ofFirewall : [])]) {
      const group = new logs.CfnLogGroup(this, pascal(name), {
        // WAF accepts groups with this beginning only.
        logGroupName: `${name === 'waf' ? 'aws-waf-logs-' : '/'}${prefix}/${name}`.replace('-logs-/', '-logs-'),
        kmsKeyId: keyArn,
        retentionInDays: keptDays,
      })
      group.applyRemovalPolicy(RemovalPolicy.RETAIN)
      this.#groups.set(name, group)
    }
    // Balancers write under S3's own keys only (Elastic Load Balancing user guide, "Access logs").
    this.accessLogs = new PrivateBucket(this, 'Access', { expireDays: keptDays, statements: accessLogWriters }).bucket
    this.#writer = this.#role()
  }

  name(log: LogName): string {
    return this.#of(log).ref
  }

  arn(log: LogName): string {
    return this.#of(log).attrArn
  }

  /** For services that write with a role instead of a right. */
  get writerRoleArn(): string {
    return this.#writer.attrArn
  }

  #of(log: LogName): logs.CfnLogGroup {
    return this.#groups.get(log) as logs.CfnLogGroup
  }

  #role(): iam.CfnRole {
    const services = ['vpc-flow-logs.amazonaws.com', 'cloudtrail.amazonaws.com']
    const groups = (['flows', 'trail'] as const).map((name) => this.arn(name))
    return new iam.CfnRole(this, 'Writer', {
      assumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { Service: services }, Action: 'sts:AssumeRole' }],
      },
      policies: [
        {
          policyName: 'write',
          policyDocument: {
            Version: '2012-10-17',
            Statement: [
              {
                Effect: 'Allow',
                Action: ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
                Resource: groups,
              },
            ],
          },
        },
      ],
    })
  }
}

function accessLogWriters({ attrArn }: s3.CfnBucket): object[] {
  const services = [
    'logdelivery.elasticloadbalancing.amazonaws.com',
    'delivery.logs.amazonaws.com',
    'logging.s3.amazonaws.com',
  ]
  return [
    {
      Sid: 'AccessLogs',
      Effect: 'Allow',
      Principal: { Service: services },
      Action: 's3:PutObject',
      Resource: `${attrArn}/*`,
    },
  ]
}
