/**
 * What a broker of RabbitMQ refuses or ignores, by version and by service, as data: from RabbitMQ's release notes
 * (3.12.0, 4.0.0, 4.3.0), its pages on quorum queues and policies, and the developer guide of Amazon MQ. Looked at in
 * November 2026; look again when `rulesFrom` is a year old.
 */
export const rulesFrom = '2026-11'

export interface BrokerRules {
  readonly version: string
  readonly service: string | undefined
  /** Plugins decide which types of exchanges there are. */
  readonly exchangeTypes: readonly string[]
  /** Arguments of queues and keys of policies that make a declaration fail, or a policy void as a whole. */
  readonly refusedKeys: readonly string[]
  /** Accepted without effect. */
  readonly idleKeys: readonly string[]
  readonly hasTransientQueues: boolean
  readonly hasStreams: boolean
  /** What a queue becomes that does not say its type. */
  readonly defaultType: 'classic' | 'quorum'
}

const mirroring = [
  'ha-mode',
  'ha-params',
  'ha-sync-mode',
  'ha-promote-on-failure',
  'ha-promote-on-shutdown',
  'ha-sync-batch-size',
]
const lazy = ['x-queue-mode', 'queue-mode']

export function rulesOf(facts: {
  readonly version: string
  readonly service: string | undefined
  readonly exchangeTypes: readonly string[]
}): BrokerRules {
  const [major = 0, minor = 0] = facts.version.split('.').map(Number)
  const isFrom = (fromMajor: number, fromMinor: number) =>
    major > fromMajor || (major === fromMajor && minor >= fromMinor)
  const isAmazonMq = facts.service === 'amazon-mq'
  return {
    ...facts,
    refusedKeys: isFrom(4, 0) ? mirroring : [],
    idleKeys: isFrom(3, 12) ? lazy : [],
    hasTransientQueues: !isFrom(4, 3),
    hasStreams: isFrom(3, 9) && !isAmazonMq,
    defaultType: isAmazonMq && isFrom(4, 0) ? 'quorum' : 'classic',
  }
}

/** What a quorum queue takes no notice of, or is refused with. */
export const quorumWithout: readonly string[] = [
  'x-max-priority',
  'x-queue-mode',
  'x-queue-version',
  'x-queue-master-locator',
]
