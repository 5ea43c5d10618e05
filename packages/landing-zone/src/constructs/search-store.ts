import { Aws, RemovalPolicy } from 'aws-cdk-lib'
import * as logs from 'aws-cdk-lib/aws-logs'
import * as opensearch from 'aws-cdk-lib/aws-opensearchservice'
import * as secrets from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'
import { type StoreContext, storeId, type WatchedStore } from './store-context.ts'
import { storeLogs, watchLogins } from './store-logs.ts'

const logTypes = {
  SEARCH_SLOW_LOGS: 'search-slow',
  INDEX_SLOW_LOGS: 'index-slow',
  ES_APPLICATION_LOGS: 'application',
  AUDIT_LOGS: 'audit',
} as const

/** OpenSearch over the zones, with masters of their own in production; nobody without a user, not even inside. */
export function searchStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const { blueprint, subnetIds, securityGroupId, keyArn, secretsKeyArn } = context
  const { isProduction, zones } = blueprint
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  accepting(root, 'The service has no rotation by itself: told as the finding landing-zone.secret-not-rotated.', 'SMG4')
  accepting(root, 'Reached from its own security group only, and every request needs a user of its own.', 'OS3', 'OS5')
  const name = storeId(blueprint, store).slice(0, 28).replace(/-+$/, '')
  const secret = new secrets.CfnSecret(root, 'Password', {
    description: `Master user of ${store.name}`,
    kmsKeyId: secretsKeyArn,
    generateSecretString: { passwordLength: 48, excludeCharacters: '"\\\'{}' },
  })
  const nodes = isProduction ? zones.length : 1
  const domain = new opensearch.CfnDomain(root, 'Domain', {
    domainName: name,
    engineVersion: `OpenSearch_${store.version ?? '2.19'}`,
    clusterConfig: {
      instanceType: store.size?.instanceClass as string,
      instanceCount: nodes,
      zoneAwarenessEnabled: isProduction,
      ...(isProduction ? { zoneAwarenessConfig: { availabilityZoneCount: zones.length } } : {}),
      ...(isProduction
        ? { dedicatedMasterEnabled: true, dedicatedMasterCount: 3, dedicatedMasterType: 'm7g.large.search' }
        : {}),
      multiAzWithStandbyEnabled: isProduction && store.availability === 'standby',
    },
    ebsOptions: {
      ebsEnabled: true,
      volumeType: 'gp3',
      volumeSize: Math.max(20, Math.ceil((store.diskGiB * 2) / nodes)),
    },
    vpcOptions: { subnetIds: subnetIds.slice(0, nodes), securityGroupIds: [securityGroupId] },
    encryptionAtRestOptions: { enabled: true, kmsKeyId: keyArn },
    nodeToNodeEncryptionOptions: { enabled: true },
    domainEndpointOptions: { enforceHttps: true, tlsSecurityPolicy: 'Policy-Min-TLS-1-2-PFS-2023-10' },
    advancedSecurityOptions: {
      enabled: true,
      internalUserDatabaseEnabled: true,
      masterUserOptions: {
        masterUserName: 'estate_master',
        masterUserPassword: `{{resolve:secretsmanager:${secret.ref}}}`,
      },
    },
    accessPolicies: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { AWS: '*' },
          Action: 'es:ESHttp*',
          Resource: `arn:${Aws.PARTITION}:es:${Aws.REGION}:${Aws.ACCOUNT_ID}:domain/${name}/*`,
        },
      ],
    },
    logPublishingOptions: logsOf(root, store, name, context),
    softwareUpdateOptions: { autoSoftwareUpdateEnabled: true },
    offPeakWindowOptions: { enabled: true },
  })
  domain.applyRemovalPolicy(RemovalPolicy.RETAIN)
  return {
    kind: 'store',
    name: store.name,
    namespace: 'AWS/ES',
    dimensions: [
      { name: 'DomainName', value: domain.ref },
      { name: 'ClientId', value: Aws.ACCOUNT_ID },
    ],
    metrics: [
      { name: 'CPUUtilization', title: 'Processor, %', statistic: 'Average', alarm: { above: 85 } },
      { name: 'JVMMemoryPressure', title: 'Heap, %', statistic: 'Maximum', alarm: { above: 90 } },
      { name: 'FreeStorageSpace', title: 'Free disk, MB', statistic: 'Minimum', alarm: { below: 4_096 } },
      { name: 'ClusterStatus.red', title: 'Shards missing', statistic: 'Maximum', alarm: { above: 0 } },
      { name: 'ClusterIndexWritesBlocked', title: 'Writes blocked', statistic: 'Maximum', alarm: { above: 0 } },
    ],
  }
}

function logsOf(root: Construct, store: PlannedStore, name: string, context: StoreContext) {
  const types = Object.keys(logTypes)
  const groups = storeLogs(root, `/opensearch/${name}`, Object.values(logTypes), context)
  const audit = groups[types.indexOf('AUDIT_LOGS')]
  if (audit) watchLogins(root, store, context, { group: audit, pattern: '{ $.audit_category = "FAILED_LOGIN" }' })
  new logs.CfnResourcePolicy(root, 'LogPolicy', {
    policyName: `${name}-logs`,
    policyDocument: JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'es.amazonaws.com' },
          Action: ['logs:PutLogEvents', 'logs:CreateLogStream'],
          Resource: `arn:aws:logs:*:*:log-group:/opensearch/${name}/*`,
        },
      ],
    }),
  })
  return Object.fromEntries(
    groups.map((group, index) => [types[index], { enabled: true, cloudWatchLogsLogGroupArn: group.attrArn }]),
  )
}
