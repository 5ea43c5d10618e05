import { RemovalPolicy } from 'aws-cdk-lib'
import * as elasticache from 'aws-cdk-lib/aws-elasticache'
import * as secrets from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'
import { type StoreContext, storeId, type WatchedStore } from './store-context.ts'

/**
 * Valkey with a replica in another zone, TLS and users of its own. The user group is also the fence: until the cutover
 * it admits the mover only, since nobody can change users of ElastiCache by a command.
 */
export function cacheStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const { blueprint, subnetIds, securityGroupId, keyArn, secretsKeyArn, servicesLogName } = context
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  accepting(root, 'The service has no rotation by itself: told as the finding landing-zone.secret-not-rotated.', 'SMG4')
  accepting(
    root,
    'Users with passwords of their own stand in the place of the one token that the rule looks for.',
    'AEC6',
  )
  const id = storeId(blueprint, store).slice(0, 40).replace(/-+$/, '')
  const subnets = new elasticache.CfnSubnetGroup(root, 'Subnets', {
    description: `Data subnets of ${store.name}`,
    subnetIds: [...subnetIds],
  })
  const parameters = new elasticache.CfnParameterGroup(root, 'Parameters', {
    description: `What ${store.name} and its move need`,
    cacheParameterGroupFamily: 'valkey8',
    // The way back is fed by notifications: K keyspace, E keyevent, A every class.
    properties: { 'notify-keyspace-events': 'KEA', 'maxmemory-policy': 'noeviction' },
  })
  const secret = new secrets.CfnSecret(root, 'Password', {
    description: `Password of ${store.name}`,
    kmsKeyId: secretsKeyArn,
    generateSecretString: { passwordLength: 64, excludePunctuation: true },
  })
  const user = new elasticache.CfnUser(root, 'User', {
    engine: 'valkey',
    userId: `${id}-app`.slice(0, 40),
    userName: store.name,
    accessString: 'on ~* &* +@all -@dangerous +info +keys',
    authenticationMode: {
      Type: 'password',
      Passwords: [`{{resolve:secretsmanager:${secret.ref}}}`],
    },
  })
  const group = new elasticache.CfnUserGroup(root, 'Users', {
    engine: 'valkey',
    userGroupId: `${id}-users`.slice(0, 40),
    userIds: [user.ref],
  })
  const cache = new elasticache.CfnReplicationGroup(root, 'Cache', {
    replicationGroupId: id,
    replicationGroupDescription: `${store.name} of ${blueprint.estate}`,
    engine: 'valkey',
    engineVersion: store.version ?? '8.1',
    cacheNodeType: store.size?.instanceClass as string,
    numNodeGroups: 1,
    replicasPerNodeGroup: blueprint.isProduction ? blueprint.zones.length - 1 : 0,
    automaticFailoverEnabled: blueprint.isProduction,
    multiAzEnabled: blueprint.isProduction,
    port: store.port,
    atRestEncryptionEnabled: true,
    kmsKeyId: keyArn,
    transitEncryptionEnabled: true,
    transitEncryptionMode: 'required',
    userGroupIds: [group.ref],
    cacheParameterGroupName: parameters.ref,
    cacheSubnetGroupName: subnets.ref,
    securityGroupIds: [securityGroupId],
    snapshotRetentionLimit: blueprint.isProduction ? 35 : 1,
    autoMinorVersionUpgrade: true,
    logDeliveryConfigurations: ['slow-log', 'engine-log'].map((logType) => ({
      logType,
      logFormat: 'json',
      destinationType: 'cloudwatch-logs',
      destinationDetails: { cloudWatchLogsDetails: { logGroup: servicesLogName } },
    })),
  })
  cache.applyRemovalPolicy(RemovalPolicy.SNAPSHOT)
  return {
    kind: 'store',
    name: store.name,
    namespace: 'AWS/ElastiCache',
    dimensions: [{ name: 'ReplicationGroupId', value: cache.ref }],
    metrics: [
      { name: 'EngineCPUUtilization', title: 'Processor, %', statistic: 'Maximum', alarm: { above: 85 } },
      { name: 'DatabaseMemoryUsagePercentage', title: 'Memory, %', statistic: 'Maximum', alarm: { above: 80 } },
      { name: 'CurrConnections', title: 'Connections', statistic: 'Maximum' },
      { name: 'Evictions', title: 'Evictions', statistic: 'Sum', alarm: { above: 0 } },
      { name: 'ReplicationLag', title: 'Replica lag, s', statistic: 'Maximum', alarm: { above: 5 } },
      { name: 'AuthenticationFailures', title: 'Refused logins', statistic: 'Sum', alarm: { above: 10 } },
    ],
  }
}
