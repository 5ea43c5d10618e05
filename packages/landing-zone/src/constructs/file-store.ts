import { Aws, RemovalPolicy } from 'aws-cdk-lib'
import * as efs from 'aws-cdk-lib/aws-efs'
import * as fsx from 'aws-cdk-lib/aws-fsx'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { pascal } from './network.ts'
import { everyRequest, PrivateBucket } from './private-bucket.ts'
import { serving } from './serving.ts'
import { type StoreContext, storeId, type WatchedStore } from './store-context.ts'
import { storeLogs } from './store-logs.ts'

/** Objects in S3, or a share that machines mount: NFS on EFS, SMB on FSx. */
export function fileStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  switch (store.form) {
    case 'efs':
      return share(root, store, context)
    case 'fsx':
      return windowsShare(root, store, context)
    default:
      return objects(root, store, context)
  }
}

/** In every zone by itself. A version lives a little longer than the backups that would bring it back. */
function objects(root: Construct, { name }: PlannedStore, { keyArn, accessLogs }: StoreContext): WatchedStore {
  const { bucket } = new PrivateBucket(root, 'Objects', {
    keyArn,
    logBucket: accessLogs,
    oldVersionDays: 40,
    measured: true,
  })
  return {
    kind: 'store',
    name,
    namespace: 'AWS/S3',
    dimensions: [
      { name: 'BucketName', value: bucket.ref },
      { name: 'FilterId', value: everyRequest },
    ],
    metrics: [
      { name: 'AllRequests', title: 'Requests', statistic: 'Sum' },
      { name: '4xxErrors', title: 'Refused requests', statistic: 'Sum', alarm: { above: 100 } },
      { name: '5xxErrors', title: 'Failed requests', statistic: 'Sum', alarm: { above: 10 } },
      { name: 'TotalRequestLatency', title: 'Answer time, ms', statistic: 'Average', alarm: { above: 1_000 } },
    ],
  }
}

function share(
  root: Construct,
  store: PlannedStore,
  { keyArn, subnetIds, securityGroupId }: StoreContext,
): WatchedStore {
  const system = new efs.CfnFileSystem(root, 'Share', {
    encrypted: true,
    kmsKeyId: keyArn,
    // Copies are made by the plan of the locked vault; this one would go to a vault that anybody may empty.
    backupPolicy: { status: 'DISABLED' },
    fileSystemProtection: { replicationOverwriteProtection: 'ENABLED' },
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
    name: store.name,
    namespace: 'AWS/EFS',
    dimensions: [{ name: 'FileSystemId', value: system.ref }],
    metrics: [
      { name: 'PercentIOLimit', title: 'Share of the limit, %', statistic: 'Maximum', alarm: { above: 90 } },
      { name: 'ClientConnections', title: 'Clients', statistic: 'Sum' },
      { name: 'TotalIOBytes', title: 'Bytes read and written', statistic: 'Sum' },
    ],
  }
}

/** A pair over two zones in production. It joins the directory that the estate names: it cannot be made without one. */
function windowsShare(root: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const { keyArn, subnetIds, securityGroupId, blueprint } = context
  const { directory } = store
  const pair = blueprint.isProduction
  const prefix = '/aws/fsx'
  const log = storeId(blueprint, store)
  const [audit] = storeLogs(root, prefix, [log], context)
  const system = new fsx.CfnFileSystem(root, 'Share', {
    fileSystemType: 'WINDOWS',
    storageType: 'SSD',
    storageCapacity: Math.max(32, store.diskGiB),
    subnetIds: subnetIds.slice(0, pair ? 2 : 1),
    securityGroupIds: [securityGroupId],
    kmsKeyId: keyArn,
    windowsConfiguration: {
      throughputCapacity: 32,
      deploymentType: pair ? 'MULTI_AZ_1' : 'SINGLE_AZ_2',
      ...(pair ? { preferredSubnetId: subnetIds[0] as string } : {}),
      automaticBackupRetentionDays: pair ? 35 : 7,
      copyTagsToBackups: true,
      ...(directory
        ? {
            selfManagedActiveDirectoryConfiguration: {
              domainName: directory.domain,
              dnsIps: directory.dns,
              domainJoinServiceAccountSecret: directory.secret,
            },
          }
        : {}),
      auditLogConfiguration: {
        fileAccessAuditLogLevel: 'SUCCESS_AND_FAILURE',
        fileShareAccessAuditLogLevel: 'SUCCESS_AND_FAILURE',
        auditLogDestination: `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:${prefix}/${log}`,
      },
    },
  })
  system.applyRemovalPolicy(RemovalPolicy.RETAIN)
  if (audit) system.addResourceDependency(audit)
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
      { name: 'DiskIopsUtilization', title: 'Disk operations, %', statistic: 'Average', alarm: { above: 90 } },
    ],
  }
}
