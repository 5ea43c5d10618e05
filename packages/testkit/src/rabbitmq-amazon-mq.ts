/**
 * What Amazon MQ for RabbitMQ does to a broker, from its developer guide ("Plugins", "Configurable values", "Broker
 * defaults"), as far as a RabbitMQ 3.10 can be made to do it by configuration.
 */
import type { RabbitmqDefinitions } from './rabbitmq-management.ts'

const plugins = new Set([
  'rabbitmq_management',
  'rabbitmq_shovel',
  'rabbitmq_shovel_management',
  'rabbitmq_federation',
  'rabbitmq_federation_management',
  'rabbitmq_consistent_hash_exchange',
])

/** What its owner may configure; the service knows some more that RabbitMQ 3.10 does not. */
const settings = new Set(['consumer_timeout', 'heartbeat'])

/** Throws when a broker of the service could not have these plugins or these settings. */
export function assertPermittedByAmazonMq(asked: {
  readonly plugins?: readonly string[]
  readonly settings?: Readonly<Record<string, string>>
}): void {
  const refused = [
    ...(asked.plugins ?? []).filter((plugin) => !plugins.has(plugin)),
    ...Object.keys(asked.settings ?? {}).filter((setting) => !settings.has(setting)),
  ]
  if (refused.length > 0) throw new Error(`Amazon MQ does not permit ${refused.join(', ')}`)
}

/**
 * The policy that a new broker has on its default virtual host. One policy at most applies to a queue: this one gives
 * way to any with a higher priority. The service also limits the length of queues, by the type of the instance.
 */
export const amazonMqDefaults: RabbitmqDefinitions = {
  policies: [
    {
      'vhost': '/',
      'name': 'AWS-DEFAULT-POLICY-SINGLE-INSTANCE',
      'pattern': '.*',
      'apply-to': 'all',
      'priority': 0,
      'definition': { 'queue-mode': 'lazy', 'overflow': 'reject-publish' },
    },
  ],
}

/** All of RabbitMQ 3.10 but one: the service does not support streams, which are refused without their flag. */
export const amazonMqFeatureFlags = [
  'classic_mirrored_queue_version',
  'drop_unroutable_metric',
  'empty_basic_get_metric',
  'implicit_default_bindings',
  'maintenance_mode_status',
  'quorum_queue',
  'user_limits',
  'virtual_host_metadata',
]
