import { Aws } from 'aws-cdk-lib'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import type { StandingRequirement } from '../plan/requirements.ts'
import type { Network } from './network.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'

/** What machines without a way out need: administration, secrets, logs, metrics, keys. */
const interfaces = ['ssm', 'ssmmessages', 'ec2messages', 'secretsmanager', 'logs', 'monitoring', 'kms', 'sts'] as const

/**
 * Private ways to AWS's own services. The gateway to S3 costs nothing. Interfaces stand in every zone in production
 * and in one elsewhere; the policies admit this account only, so that no endpoint carries data to somebody else's.
 */
export class Endpoints extends Construct {
  constructor(scope: Construct, blueprint: Blueprint, network: Network, securityGroupId: string) {
    super(scope, 'Endpoints')
    serving(this, 'network.private-aws')
    const { region, isProduction } = blueprint
    const subnetIds = network.subnetIds('app').slice(0, isProduction ? undefined : 1)
    const policyDocument = ownAccountOnly()
    new ec2.CfnVPCEndpoint(this, 'S3', {
      vpcId: network.vpc.ref,
      serviceName: `com.amazonaws.${region}.s3`,
      vpcEndpointType: 'Gateway',
      routeTableIds: network.routeTableIds('app', 'data'),
      policyDocument: packagesAndOwn(region),
    })
    for (const { name, serves } of wanted(blueprint)) {
      const scope = serving(new Construct(this, pascal(name)), serves)
      new ec2.CfnVPCEndpoint(scope, 'Endpoint', {
        vpcId: network.vpc.ref,
        serviceName: `com.amazonaws.${region}.${name}`,
        vpcEndpointType: 'Interface',
        privateDnsEnabled: true,
        subnetIds,
        securityGroupIds: [securityGroupId],
        policyDocument,
      })
    }
  }
}

/** Workers fetch their image privately, as long as there are any. */
function wanted({ onPremises, phase }: Blueprint): { name: string; serves: StandingRequirement }[] {
  const ofWorkers = onPremises && phase !== 'finalized' ? ['ecr.api', 'ecr.dkr'] : []
  return [
    ...interfaces.map((name) => ({ name, serves: 'network.private-aws' as const })),
    ...ofWorkers.map((name) => ({ name, serves: 'migration' as const })),
  ]
}

function ownAccountOnly(): object {
  return statements([
    {
      Effect: 'Allow',
      Principal: '*',
      Action: '*',
      Resource: '*',
      Condition: { StringEquals: { 'aws:PrincipalAccount': Aws.ACCOUNT_ID } },
    },
  ])
}

/** Own buckets, and those of Amazon that Session Manager, patches and Amazon Linux packages come from. */
function packagesAndOwn(region: string): object {
  const amazon = [
    `aws-ssm-${region}`,
    `amazon-ssm-${region}`,
    `patch-baseline-snapshot-${region}`,
    `al2023-repos-${region}-de612dc2`,
    // Layers of images (Amazon ECR user guide, "Create the Amazon S3 gateway endpoint").
    `prod-${region}-starport-layer-bucket`,
  ]
  return statements([
    {
      Effect: 'Allow',
      Principal: '*',
      Action: 's3:*',
      Resource: '*',
      Condition: { StringEquals: { 'aws:ResourceAccount': Aws.ACCOUNT_ID } },
    },
    {
      Effect: 'Allow',
      Principal: '*',
      Action: 's3:GetObject',
      Resource: amazon.map((name) => `arn:aws:s3:::${name}/*`),
    },
  ])
}

function statements(list: readonly object[]): object {
  return { Version: '2012-10-17', Statement: list }
}
