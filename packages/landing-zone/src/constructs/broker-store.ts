import { Fn, RemovalPolicy } from 'aws-cdk-lib'
import * as mq from 'aws-cdk-lib/aws-amazonmq'
import * as logs from 'aws-cdk-lib/aws-logs'
import * as secrets from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { accepting } from './accepting.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'
import { type StoreContext, storeId, type WatchedStore } from './store-context.ts'

/** Amazon MQ over two or three zones: a pair of ActiveMQ that shares its store, or a cluster of RabbitMQ. */
export function brokerStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const { blueprint, subnetIds, securityGroupId, keyArn, secretsKeyArn } = context
  const root = serving(new Construct(scope, pascal(store.name)), `store.${store.name}`)
  accepting(root, 'The service has no rotation by itself: told as the finding landing-zone.secret-not-rotated.', 'SMG4')
  const isActive = store.form === 'amazon-mq-activemq'
  const form = isActive ? activemq : rabbitmq
  const { isProduction } = blueprint
  const secret = new secrets.CfnSecret(root, 'Password', {
    description: `First user of ${store.name}`,
    kmsKeyId: secretsKeyArn,
    generateSecretString: {
      secretStringTemplate: JSON.stringify({ username: 'estate' }),
      generateStringKey: 'password',
      passwordLength: 48,
      excludePunctuation: true,
    },
  })
  const configuration = new mq.CfnConfiguration(root, 'Configuration', {
    name: storeId(blueprint, store),
    engineType: form.engine,
    engineVersion: store.version ?? form.version,
    data: Fn.base64(form.configuration),
  })
  const broker = new mq.CfnBroker(root, 'Broker', {
    brokerName: storeId(blueprint, store),
    engineType: form.engine,
    engineVersion: store.version ?? form.version,
    hostInstanceType: store.size?.instanceClass as string,
    deploymentMode: isProduction ? form.mode : 'SINGLE_INSTANCE',
    // A pair takes two subnets, a single broker one; a cluster takes all.
    subnetIds: subnetIds.slice(0, isProduction ? (isActive ? 2 : undefined) : 1),
    securityGroups: [securityGroupId],
    publiclyAccessible: false,
    autoMinorVersionUpgrade: true,
    encryptionOptions: { useAwsOwnedKey: false, kmsKeyId: keyArn },
    configuration: { id: configuration.ref, revision: configuration.attrRevision as never },
    logs: { general: true, ...(isActive ? { audit: true } : {}) },
    maintenanceWindowStartTime: { dayOfWeek: 'SUNDAY', timeOfDay: '19:00', timeZone: 'UTC' },
    users: [
      {
        username: `{{resolve:secretsmanager:${secret.ref}:SecretString:username}}`,
        password: `{{resolve:secretsmanager:${secret.ref}:SecretString:password}}`,
      },
    ],
  })
  broker.applyRemovalPolicy(RemovalPolicy.RETAIN)
  if (isActive) broker.addResourceDependency(mayWriteLogs(root, storeId(blueprint, store)))
  return {
    kind: 'store',
    name: store.name,
    namespace: 'AWS/AmazonMQ',
    dimensions: [{ name: 'Broker', value: form.metricName(storeId(blueprint, store)) }],
    metrics: form.metrics,
  }
}

/** RabbitMQ writes by its service-linked role; ActiveMQ needs a policy of the account (Amazon MQ developer guide, "Logs"). */
function mayWriteLogs(root: Construct, id: string): logs.CfnResourcePolicy {
  return new logs.CfnResourcePolicy(root, 'LogPolicy', {
    policyName: `${id}-logs`,
    policyDocument: JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'mq.amazonaws.com' },
          Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          Resource: 'arn:aws:logs:*:*:log-group:/aws/amazonmq/*',
        },
      ],
    }),
  })
}

interface BrokerForm {
  readonly engine: 'ACTIVEMQ' | 'RABBITMQ'
  readonly version: string
  readonly mode: 'ACTIVE_STANDBY_MULTI_AZ' | 'CLUSTER_MULTI_AZ'
  readonly configuration: string
  readonly metricName: (broker: string) => string
  readonly metrics: WatchedStore['metrics']
}

const activemq: BrokerForm = {
  engine: 'ACTIVEMQ',
  version: '5.18',
  mode: 'ACTIVE_STANDBY_MULTI_AZ',
  // Virtual topics are on by default; priorities and dead letters by queue are what the moved queues need.
  configuration: `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<broker xmlns="http://activemq.apache.org/schema/core">
  <destinationPolicy>
    <policyMap>
      <policyEntries>
        <policyEntry queue="&gt;" prioritizedMessages="true" gcInactiveDestinations="false">
          <deadLetterStrategy>
            <individualDeadLetterStrategy queuePrefix="DLQ." useQueueForQueueMessages="true"/>
          </deadLetterStrategy>
        </policyEntry>
      </policyEntries>
    </policyMap>
  </destinationPolicy>
</broker>
`,
  // CloudWatch knows each half of the pair by its own name.
  metricName: (broker) => `${broker}-1`,
  metrics: [
    { name: 'CpuUtilization', title: 'Processor, %', statistic: 'Average', alarm: { above: 85 } },
    { name: 'HeapUsage', title: 'Heap, %', statistic: 'Maximum', alarm: { above: 85 } },
    { name: 'StorePercentUsage', title: 'Store, %', statistic: 'Maximum', alarm: { above: 70 } },
    { name: 'TotalMessageCount', title: 'Messages waiting', statistic: 'Maximum', alarm: { above: 100_000 } },
    { name: 'CurrentConnectionsCount', title: 'Connections', statistic: 'Maximum' },
  ],
}

const rabbitmq: BrokerForm = {
  engine: 'RABBITMQ',
  version: '4.2',
  mode: 'CLUSTER_MULTI_AZ',
  configuration: '# Default operator policy is set by the service.\nconsumer_timeout = 1800000\n',
  metricName: (broker) => broker,
  // Since RabbitMQ 4 CloudWatch has no figures by queue: the control plane asks the management API.
  metrics: [
    { name: 'SystemCpuUtilization', title: 'Processor, %', statistic: 'Average', alarm: { above: 85 } },
    { name: 'RabbitMQMemUsed', title: 'Memory, bytes', statistic: 'Maximum' },
    { name: 'RabbitMQDiskFree', title: 'Free disk, bytes', statistic: 'Minimum', alarm: { below: 20 * 2 ** 30 } },
    { name: 'MessageCount', title: 'Messages waiting', statistic: 'Maximum', alarm: { above: 100_000 } },
    { name: 'ConnectionCount', title: 'Connections', statistic: 'Maximum' },
  ],
}
