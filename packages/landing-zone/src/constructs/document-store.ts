import { RemovalPolicy } from 'aws-cdk-lib'
import * as docdb from 'aws-cdk-lib/aws-docdb'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { pascal, zoneName } from './network.ts'
import { serving } from './serving.ts'
import { rollbackHours, type StoreContext, storeId, type WatchedStore } from './store-context.ts'
import { storeLogs, watchLogins } from './store-logs.ts'

/** DocumentDB keeps changes for 7 days at most (developer guide, "Using change streams"). */
const mostChangeStreamSeconds = 604_800

/** A cluster with an instance in every zone. Change streams are switched on by a command afterwards: see `infra prove`. */
export function documentStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const { blueprint, subnetIds, securityGroupId, keyArn, secretsKeyArn } = context
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  accepting(
    root,
    'The password is made, kept and rotated by the service itself, in a secret that the rule does not see.',
    'DOC3',
  )
  accepting(root, 'The rule looks for names of events; the log that holds them is exported whole.', 'DOC5')
  const subnets = new docdb.CfnDBSubnetGroup(root, 'Subnets', {
    dbSubnetGroupDescription: `Data subnets of ${store.name}`,
    subnetIds: [...subnetIds],
  })
  const seconds = Math.min(mostChangeStreamSeconds, Math.max(10_800, rollbackHours(store) * 3_600))
  const parameters = new docdb.CfnDBClusterParameterGroup(root, 'Parameters', {
    description: `What ${store.name} and its move need`,
    family: 'docdb5.0',
    parameters: {
      tls: 'tls1.2+',
      audit_logs: 'all',
      profiler: 'enabled',
      change_stream_log_retention_duration: String(seconds),
    },
  })
  const id = storeId(blueprint, store)
  const groups = storeLogs(root, `/aws/docdb/${id}`, ['audit', 'profiler'], context)
  const [audit] = groups
  // Zero is success (developer guide, "Auditing events").
  if (audit)
    watchLogins(root, store, context, {
      group: audit,
      pattern: '{ ($.atype = "authenticate") && ($.param.error != 0) }',
    })
  const cluster = new docdb.CfnDBCluster(root, 'Cluster', {
    dbClusterIdentifier: id,
    engineVersion: store.version ?? '5.0.0',
    port: store.port,
    masterUsername: 'estate_master',
    manageMasterUserPassword: true,
    masterUserSecretKmsKeyId: secretsKeyArn,
    storageEncrypted: true,
    kmsKeyId: keyArn,
    deletionProtection: true,
    backupRetentionPeriod: blueprint.isProduction ? 35 : 7,
    copyTagsToSnapshot: true,
    dbClusterParameterGroupName: parameters.ref,
    dbSubnetGroupName: subnets.ref,
    vpcSecurityGroupIds: [securityGroupId],
    enableCloudwatchLogsExports: ['audit', 'profiler'],
  })
  cluster.applyRemovalPolicy(RemovalPolicy.SNAPSHOT)
  for (const group of groups) cluster.addResourceDependency(group)
  const zones = blueprint.isProduction ? blueprint.zones : blueprint.zones.slice(0, 1)
  for (const [index, zone] of zones.entries()) {
    new docdb.CfnDBInstance(root, `Instance${zone.slice(-1).toUpperCase()}`, {
      dbClusterIdentifier: cluster.ref,
      dbInstanceClass: store.size?.instanceClass as string,
      availabilityZone: zoneName(index),
      autoMinorVersionUpgrade: true,
      enablePerformanceInsights: true,
      caCertificateIdentifier: 'rds-ca-rsa2048-g1',
    })
  }
  return {
    kind: 'store',
    name: store.name,
    namespace: 'AWS/DocDB',
    dimensions: [{ name: 'DBClusterIdentifier', value: cluster.ref }],
    metrics: [
      { name: 'CPUUtilization', title: 'Processor, %', statistic: 'Average', alarm: { above: 85 } },
      { name: 'FreeableMemory', title: 'Free memory, bytes', statistic: 'Minimum', alarm: { below: 512 * 2 ** 20 } },
      { name: 'DatabaseConnections', title: 'Connections', statistic: 'Maximum' },
      { name: 'DBClusterReplicaLagMaximum', title: 'Replica lag, ms', statistic: 'Maximum', alarm: { above: 5_000 } },
    ],
  }
}
