import { RemovalPolicy } from 'aws-cdk-lib'
import * as efs from 'aws-cdk-lib/aws-efs'
import * as fsx from 'aws-cdk-lib/aws-fsx'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { pascal } from './network.ts'
import { PrivateBucket } from './private-bucket.ts'
import { serving } from './serving.ts'
import type { StoreContext, WatchedStore } from './store-context.ts'

/** Objects in S3, or a share that machines mount: NFS on EFS, SMB on FSx. */
export function fileStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore | null {
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  switch (store.form) {
    case 'efs':
      return share(root, store, context)
    case 'fsx':
      return windowsShare(root, store, context)
    default:
      new PrivateBucket(root, 'Objects', { keyArn: context.keyArn, logBucket: context.accessLogs })
      return null
  }
}

function share(
  root: Construct,
  { name }: PlannedStore,
  { keyArn, subnetIds, securityGroupId }: StoreContext,
): WatchedStore {
  const system = new efs.CfnFileSystem(root, 'Share', {
    encrypted: true,
    kmsKeyId: keyArn,
    backupPolicy: { status: 'ENABLED' },
    throughputMode: 'elastic',
    fileSystemPolicy: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Deny',
          Principal: { AWS: '*' },
          Action: '*',
          Condition: { Bool: { 'aws:SecureTransport': false } },
        },
        {
          Effect: 'Allow',
          Principal: { AWS: '*' },
          Action: ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite'],
          Condition: { Bool: { 'elasticfilesystem:AccessedViaMountTarget': true } },
        },
      ],
    },
  })
  system.applyRemovalPolicy(RemovalPolicy.RETAIN)
  for (const [index, subnetId] of subnetIds.entries()) {
    new efs.CfnMountTarget(root, `Mount${index + 1}`, {
      fileSystemId: system.ref,
      subnetId,
      securityGroups: [securityGroupId],
    })
  }
  return {
    kind: 'store',
    name,
    namespace: 'AWS/EFS',
    dimensions: [{ name: 'FileSystemId', value: system.ref }],
    metrics: [
      { name: 'PercentIOLimit', title: 'Share of the limit, %', statistic: 'Maximum', alarm: { above: 90 } },
      { name: 'ClientConnections', title: 'Clients', statistic: 'Maximum' },
    ],
  }
}

function windowsShare(root: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const { keyArn, subnetIds, securityGroupId, blueprint } = context
  const pair = blueprint.isProduction
  const system = new fsx.CfnFileSystem(root, 'Share', {
    fileSystemType: 'WINDOWS',
    storageCapacity: Math.max(32, store.diskGiB),
    subnetIds: subnetIds.slice(0, pair ? 2 : 1),
    securityGroupIds: [securityGroupId],
    kmsKeyId: keyArn,
    windowsConfiguration: {
      throughputCapacity: 32,
      deploymentType: pair ? 'MULTI_AZ_1' : 'SINGLE_AZ_2',
      ...(pair ? { preferredSubnetId: subnetIds[0] as string } : {}),
      automaticBackupRetentionDays: pair ? 35 : 7,
      auditLogConfiguration: {
        fileAccessAuditLogLevel: 'SUCCESS_AND_FAILURE',
        fileShareAccessAuditLogLevel: 'SUCCESS_AND_FAILURE',
      },
    },
  })
  system.applyRemovalPolicy(RemovalPolicy.RETAIN)
  return {
    kind: 'store',
    name: store.name,
    namespace: 'AWS/FSx',
    dimensions: [{ name: 'FileSystemId', value: system.ref }],
    metrics: [
      {
        name: 'FreeStorageCapacity',
        title: 'Free disk, bytes',
        statistic: 'Minimum',
        alarm: { below: store.diskGiB * 2 ** 30 * 0.15 },
      },
    ],
  }
}
