/** What of the definitions has no counterpart on ActiveMQ: never dropped without a word. Pure. */
import type { Definitions, ExchangeDefinition, QueueDefinition } from '@replatform/connector-rabbitmq/definitions'
import type { LeftOut } from './activemq-plan.ts'
import { translateBinding } from './binding-selector.ts'
import { effectiveArguments } from './source-topology.ts'

export function leftOut(definitions: Definitions): LeftOut[] {
  return [
    ...definitions.exchanges.flatMap(exchangeLoss),
    ...definitions.queues.flatMap((queue) => queueLoss(queue, definitions)),
    ...definitions.bindings.flatMap((binding) => bindingLoss(binding, definitions)),
    ...policyLoss(definitions),
    ...definitions.parameters
      .filter(({ name }) => !name.startsWith('replatform'))
      .map(({ component, name }) => ({
        object: `${component} ${name}`,
        why: 'It connects brokers of the old estate.',
        remedy:
          'Move its queues with this plan; where brokers must stay connected, use a network connector of ActiveMQ.',
      })),
    ...definitions.topicPermissions.map(({ user, exchange }) => ({
      object: `topic permission of ${user} on ${exchange}`,
      why: 'ActiveMQ authorizes by destination, not by routing key.',
      remedy: 'Give what must be kept apart a topic of its own.',
    })),
  ]
}

const exchangeRemedies: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
  'x-delayed-message': [
    'Its delayed messages lie outside of every queue and cannot be drained.',
    'Let producers send to the queue with x-opt-delivery-delay (schedulerSupport), and keep the source until the longest delay is over.',
  ],
  'x-consistent-hash': [
    'ActiveMQ has no exchange that spreads by hash.',
    'Use one queue with message groups (group id): one consumer a group, spread by the broker.',
  ],
  'x-random': ['ActiveMQ has no exchange that spreads at random.', 'Use one queue with several consumers.'],
  'x-modulus-hash': ['ActiveMQ has no sharded queues.', 'Use one queue with message groups (group id).'],
  'x-federation-upstream': ['It is fed by another broker.', 'Move that broker’s exchange, or use a network connector.'],
}

function exchangeLoss({ name, type, arguments: given }: ExchangeDefinition): LeftOut[] {
  if (name.startsWith('replatform.')) return []
  const known = ['direct', 'topic', 'fanout', 'headers'].includes(type)
  const [why, remedy] = exchangeRemedies[type] ?? [
    `ActiveMQ has no exchanges of type ${type}.`,
    'Publish to a topic or a queue of the plan instead, and leave this exchange behind.',
  ]
  return [
    ...(known ? [] : [{ object: `exchange ${name}`, why, remedy }]),
    ...(given['alternate-exchange'] === undefined
      ? []
      : [
          {
            object: `alternate exchange of ${name}`,
            why: 'What no queue takes is dropped by ActiveMQ.',
            remedy: 'Forward the rest by a filteredDestination whose selector is NOT (the others joined by OR).',
          },
        ]),
  ]
}

const argumentLosses: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
  'x-max-length': [
    'ActiveMQ does not limit how many messages a queue holds.',
    'Watch QueueSize by an alarm; let producers stop, or give messages a time to live.',
  ],
  'x-max-length-bytes': [
    'ActiveMQ limits memory and store by broker, not the bytes of a queue.',
    'Watch the queue by an alarm, or give messages a time to live.',
  ],
  'x-overflow': ['It belongs to a limit on length.', 'See that limit.'],
  'x-expires': [
    'A consumer queue that is deleted when idle would lose what is published afterwards.',
    'Delete queues that are no longer needed by hand.',
  ],
  'x-dead-letter-strategy': [
    'ActiveMQ moves a dead letter in the transaction that removes it.',
    'Nothing is to be done: it is at least once.',
  ],
}

function queueLoss(queue: QueueDefinition, { policies }: Definitions): LeftOut[] {
  if (queue.name.startsWith('replatform.')) return []
  const effective = effectiveArguments(queue, policies)
  return Object.entries(argumentLosses).flatMap(([key, [why, remedy]]) =>
    effective[key] === undefined ? [] : [{ object: `${key} of queue ${queue.name}`, why, remedy }],
  )
}

function bindingLoss(binding: Definitions['bindings'][number], { exchanges }: Definitions): LeftOut[] {
  const { source, destination, arguments: given } = binding
  const exchange = exchanges.find(({ name }) => name === source)
  if (!exchange || source === '' || source.startsWith('replatform.')) return []
  const object = `binding ${source} → ${destination}`
  const translation = translateBinding(exchange, binding)
  if (translation.kind === 'none') {
    return [
      { object, why: translation.why, remedy: 'Write a selector for it in the plan, or change what producers send.' },
    ]
  }
  if (exchange.type !== 'headers' || !String(given['x-match'] ?? 'all').startsWith('any')) return []
  return [
    {
      object,
      why: 'It takes any of several headers, which becomes OR in a selector: a header of another type is not equal there.',
      remedy: 'Read the selector in the plan, and try it with a message of each producer.',
    },
  ]
}

/** What the translation knows, from queue arguments without their `x-`; the rest is about a cluster or has no counterpart. */
const carriedKeys = new Set(['message-ttl', 'dead-letter-exchange', 'dead-letter-routing-key', 'delivery-limit'])
const clusterKeys = /^(ha-|queue-mode$|queue-master-locator$|queue-version$|quorum-|queue-leader-locator$)/

function policyLoss({ policies }: Definitions): LeftOut[] {
  return policies.flatMap(({ name, definition }) => {
    const lost = Object.keys(definition).filter(
      (key) => !carriedKeys.has(key) && !clusterKeys.test(key) && !(`x-${key}` in argumentLosses),
    )
    return lost.map((key) => ({
      object: `${key} of policy ${name}`,
      why: 'ActiveMQ has no counterpart.',
      remedy: 'Decide what the applications need of it before they move.',
    }))
  })
}
