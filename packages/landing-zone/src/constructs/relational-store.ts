import { RemovalPolicy } from 'aws-cdk-lib'
import * as rds from 'aws-cdk-lib/aws-rds'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'
import { rollbackHours, type StoreContext, storeId, type WatchedStore } from './store-context.ts'
import { storeLogs, watchLogins } from './store-logs.ts'

interface Engine {
  readonly name: string
  readonly version: string
  readonly logs: readonly string[]
  /** Where refused logins are told of, and how. */
  readonly logins: { readonly log: string; readonly pattern: string }
  /** Settings that security, and the move with its way back, cannot do without. */
  readonly parameters: () => Readonly<Record<string, string>>
}

/**
 * RDS with a standby in another zone, or a cluster of three where it was asked for and the engine has one. The password
 * of the master is made and rotated by RDS and known to nobody.
 */
export function relationalStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  const identifier = storeId(context.blueprint, store)
  const isCluster = store.availability === 'cluster' && context.blueprint.isProduction
  const standard = engines[store.engine as keyof typeof engines]
  const engine = isCluster ? inCluster(standard) : standard
  const version = store.version ?? engine.version
  const subnets = new rds.CfnDBSubnetGroup(root, 'Subnets', {
    dbSubnetGroupDescription: `Data subnets of ${store.name}`,
    subnetIds: [...context.subnetIds],
  })
  const common = commonOf(context, engine)
  const groups = storeLogs(root, `/aws/rds/${isCluster ? 'cluster' : 'instance'}/${identifier}`, engine.logs, context)
  const logins = groups[engine.logs.indexOf(engine.logins.log)]
  if (logins) watchLogins(root, store, context, { group: logins, pattern: engine.logins.pattern })
  const group = { description: `What ${store.name} and its move need`, family: familyOf(store, version) }
  const parameters = engine.parameters()
  if (isCluster) {
    const clusterParameters = new rds.CfnDBClusterParameterGroup(root, 'Parameters', { ...group, parameters })
    const cluster = new rds.CfnDBCluster(root, 'Cluster', {
      ...common,
      port: store.port,
      engineVersion: version,
      dbClusterIdentifier: identifier,
      dbClusterInstanceClass: store.size?.instanceClass as string,
      dbClusterParameterGroupName: clusterParameters.ref,
      dbSubnetGroupName: subnets.ref,
      allocatedStorage: Math.max(100, store.diskGiB),
      storageType: 'io2',
      iops: Math.max(1_000, store.observed.iops ?? 0),
      vpcSecurityGroupIds: [context.securityGroupId],
    })
    cluster.applyRemovalPolicy(RemovalPolicy.SNAPSHOT)
    for (const group of groups) cluster.addResourceDependency(group)
    return watched(store, 'DBClusterIdentifier', cluster.ref)
  }
  const instanceParameters = new rds.CfnDBParameterGroup(root, 'Parameters', { ...group, parameters })
  const instance = new rds.CfnDBInstance(root, 'Instance', {
    ...common,
    port: String(store.port),
    engineVersion: version,
    dbInstanceIdentifier: identifier,
    dbInstanceClass: store.size?.instanceClass as string,
    dbParameterGroupName: instanceParameters.ref,
    dbSubnetGroupName: subnets.ref,
    multiAz: context.blueprint.isProduction,
    ...diskOf(store),
    ...(store.engine === 'postgresql' ? {} : { optionGroupName: auditOf(root, store, version) }),
    publiclyAccessible: false,
    ...(store.engine === 'mariadb' ? {} : { enableIamDatabaseAuthentication: true }),
    caCertificateIdentifier: 'rds-ca-rsa2048-g1',
    vpcSecurityGroups: [context.securityGroupId],
  })
  instance.applyRemovalPolicy(RemovalPolicy.SNAPSHOT)
  for (const group of groups) instance.addResourceDependency(group)
  return watched(store, 'DBInstanceIdentifier', instance.ref)
}

function commonOf({ keyArn, secretsKeyArn, blueprint }: StoreContext, engine: Engine) {
  return {
    engine: engine.name,
    masterUsername: 'estate_master',
    manageMasterUserPassword: true,
    masterUserSecret: { kmsKeyId: secretsKeyArn },
    storageEncrypted: true,
    kmsKeyId: keyArn,
    deletionProtection: true,
    backupRetentionPeriod: blueprint.isProduction ? 35 : 7,
    copyTagsToSnapshot: true,
    autoMinorVersionUpgrade: true,
    enableCloudwatchLogsExports: [...engine.logs],
    enablePerformanceInsights: true,
    performanceInsightsKmsKeyId: keyArn,
  }
}

const engines: Readonly<Record<'postgresql' | 'mysql' | 'mariadb', Engine>> = {
  postgresql: {
    name: 'postgres',
    version: '17.6',
    logs: ['postgresql', 'upgrade'],
    logins: { log: 'postgresql', pattern: '?"authentication failed" ?"no pg_hba.conf entry"' },
    parameters: () => ({
      'rds.force_ssl': '1',
      'rds.logical_replication': '1',
      'log_connections': '1',
      'log_disconnections': '1',
      'log_statement': 'ddl',
      'shared_preload_libraries': 'pg_stat_statements',
      'max_slot_wal_keep_size': '102400',
    }),
  },
  mysql: {
    name: 'mysql',
    version: '8.4.6',
    logs: ['audit', 'error', 'slowquery'],
    logins: { log: 'audit', pattern: 'FAILED_CONNECT' },
    parameters: () => binaryLog({ binlog_row_metadata: 'FULL', binlog_expire_logs_seconds: '604800' }),
  },
  mariadb: {
    name: 'mariadb',
    version: '10.11.14',
    logs: ['audit', 'error', 'slowquery'],
    logins: { log: 'audit', pattern: 'FAILED_CONNECT' },
    parameters: () => binaryLog({ binlog_row_metadata: 'FULL' }),
  },
}

function binaryLog(more: Readonly<Record<string, string>>): Record<string, string> {
  return {
    require_secure_transport: '1',
    binlog_format: 'ROW',
    binlog_row_image: 'FULL',
    slow_query_log: '1',
    log_output: 'FILE',
    ...more,
  }
}

/**
 * A Multi-AZ cluster takes no option group, so MySQL has no audit log there (RDS user guide, "Multi-AZ DB cluster
 * deployments"): its error log names who was refused when it says everything (MySQL manual, log_error_verbosity).
 */
function inCluster(engine: Engine): Engine {
  if (engine.name !== 'mysql') return engine
  return {
    ...engine,
    logs: ['error', 'slowquery'],
    logins: { log: 'error', pattern: '"Access denied"' },
    parameters: () => ({ ...engine.parameters(), log_error_verbosity: '3' }),
  }
}

/** Who connects, and what changes tables or rights; never queries, which hold values of rows. */
function auditOf(root: Construct, store: PlannedStore, version: string): string {
  const [major = '', minor = ''] = version.split('.')
  return new rds.CfnOptionGroup(root, 'Audit', {
    engineName: store.engine,
    majorEngineVersion: `${major}.${minor}`,
    optionGroupDescription: `Audit of ${store.name}`,
    optionConfigurations: [
      {
        optionName: 'MARIADB_AUDIT_PLUGIN',
        optionSettings: [{ name: 'SERVER_AUDIT_EVENTS', value: 'CONNECT,QUERY_DDL,QUERY_DCL' }],
      },
    ],
  }).ref
}

/** Source: RDS user guide, "gp3 storage": 3,000 operations a second below 400 GiB, from there 12,000 and as asked. */
function diskOf({ diskGiB, observed }: PlannedStore) {
  const iops = Math.ceil((observed.iops ?? 0) * 1.2)
  const gib = iops > 3_000 ? Math.max(400, diskGiB) : diskGiB
  return {
    allocatedStorage: String(gib),
    maxAllocatedStorage: gib * 2,
    storageType: 'gp3',
    ...(iops > 12_000 ? { iops } : {}),
  }
}

/** `postgres17`, `mysql8.4`, `mariadb10.11`. Source: RDS user guide, "Parameter groups". */
function familyOf({ engine }: PlannedStore, version: string): string {
  const [major = '', minor = ''] = version.split('.')
  return engine === 'postgresql' ? `postgres${major}` : `${engine}${major}.${minor}`
}

function watched(store: PlannedStore, dimension: string, value: string): WatchedStore {
  return {
    kind: 'store',
    name: store.name,
    namespace: 'AWS/RDS',
    dimensions: [{ name: dimension, value }],
    metrics: [
      { name: 'CPUUtilization', title: 'Processor, %', statistic: 'Average', alarm: { above: 85 } },
      {
        name: 'FreeStorageSpace',
        title: 'Free disk, bytes',
        statistic: 'Minimum',
        alarm: { below: store.diskGiB * 2 ** 30 * 0.15 },
      },
      { name: 'FreeableMemory', title: 'Free memory, bytes', statistic: 'Minimum', alarm: { below: 256 * 2 ** 20 } },
      { name: 'DatabaseConnections', title: 'Connections', statistic: 'Maximum' },
      { name: 'WriteLatency', title: 'Write latency, s', statistic: 'Average', alarm: { above: 0.05 } },
      // A slot that nobody reads fills the disk: the way back keeps one until the move is finalized.
      ...(store.engine === 'postgresql'
        ? [
            {
              name: 'OldestReplicationSlotLag',
              title: 'Log kept for slots, bytes',
              statistic: 'Maximum',
              alarm: { above: store.diskGiB * 2 ** 30 * 0.2 },
            } as const,
          ]
        : []),
    ],
  }
}

/** Told to a person after deployment: RDS keeps the binary log only as long as it is told by a procedure. */
export function binlogRetentionCommand(store: PlannedStore): string {
  return `CALL mysql.rds_set_configuration('binlog retention hours', ${rollbackHours(store)});`
}
