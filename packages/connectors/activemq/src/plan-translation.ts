/**
 * Exchanges and bound queues as virtual topics and consumer queues. A queue that takes everything of one exchange is a
 * consumer queue of its topic, which the broker fills without configuration. A queue with a filter keeps its own name, and
 * the broker's configuration forwards to it what its selector takes: a consumer queue would get everything, and a selector
 * on the consumer's side would leave the rest lying there for ever. Pure.
 */
import type { QueueFacts } from '@replatform/connector-rabbitmq/brokers'
import { type Definitions, type QueueDefinition, queueTypeOf } from '@replatform/connector-rabbitmq/definitions'
import type { ActivemqPlan, PlannedExchange, PlannedQueue } from './activemq-plan.ts'
import { anyOf, type Translation, translateBinding } from './binding-selector.ts'
import { DestinationNames } from './destination-names.ts'
import { leftOut } from './left-out.ts'
import { planUsers } from './plan-users.ts'
import { deadLetterQueues, effectiveArguments, isDeadLetterQueue, isDelayQueue } from './source-topology.ts'

export interface PlanInput {
  readonly definitions: Definitions
  readonly facts: readonly QueueFacts[]
  /** The mover's own users are not carried over. */
  readonly isOurs: (user: string) => boolean
}

export function planTopology({ definitions, facts, isOurs }: PlanInput): ActivemqPlan {
  const names = new DestinationNames()
  const exchanges = planExchanges(definitions, names)
  const drafts = definitions.queues
    .filter(({ name }) => !isOwnName(name))
    .map((queue) => draftQueue(queue, { definitions, exchanges, names, facts }))
  const targetOf = new Map(drafts.map(({ name, target }) => [name, target]))
  const queues = drafts.map((draft) => withDeadLetters(draft, definitions, targetOf))
  return {
    queues,
    topology: {
      exchanges: forwarded(exchanges, definitions),
      users: planUsers(definitions, exchanges, queues).filter(({ name }) => !isOurs(name)),
      leftOut: leftOut(definitions),
    },
  }
}

/** Ours, of this or another move. */
export function isOwnName(name: string): boolean {
  return name.startsWith('replatform.')
}

const translated = ['direct', 'topic', 'fanout', 'headers']

function planExchanges({ exchanges, bindings }: Definitions, names: DestinationNames): PlannedExchange[] {
  const isUsed = (name: string) => bindings.some(({ source }) => source === name)
  return exchanges
    .filter(({ name, type }) => name !== '' && !isOwnName(name) && translated.includes(type))
    .filter(({ name }) => !name.startsWith('amq.') || isUsed(name))
    .map(({ name, type, internal }) => ({
      name,
      type,
      target: names.virtualTopic(name),
      forwards: [],
      consequences: [
        'Producers publish to this topic; what no queue takes is gone without a word, so a mandatory flag has no counterpart.',
        ...(type === 'fanout'
          ? []
          : [
              `Producers must set the property amqp_routing_key${type === 'headers' ? ' or the headers' : ''}: selectors read it.`,
            ]),
        ...(internal ? ['It was internal; on the target whoever may write to the topic can publish to it.'] : []),
      ],
    }))
}

/** Messages: a hundredth more work for the broker. */
const tappedEvery = 100

interface DraftContext extends Omit<PlanInput, 'isOurs'> {
  readonly exchanges: readonly PlannedExchange[]
  readonly names: DestinationNames
}

function draftQueue(queue: QueueDefinition, context: DraftContext): PlannedQueue {
  const { definitions, exchanges, names, facts } = context
  const effective = effectiveArguments(queue, definitions.policies)
  const bound = boundExchanges(queue, context)
  const [only] = bound.length === 1 ? bound : []
  const topic =
    only?.translation.kind === 'all' ? exchanges.find(({ name }) => name === only.exchange)?.target : undefined
  const stays = queueTypeOf(queue) === 'stream' || queue.autoDelete
  const isDelay = isDelayQueue(queue, definitions)
  const isDead = !isDelay && isDeadLetterQueue(queue, definitions)
  const hasConsumers = (facts.find(({ name }) => name === queue.name)?.consumers ?? 0) > 0
  return {
    name: queue.name,
    target: topic && !isDelay ? names.consumerQueue(queue.name, topic) : names.plainQueue(queue.name),
    carry: stays ? 'never' : isDelay ? 'aged' : isDead && !hasConsumers ? 'now' : 'cutover',
    inPause: !stays && !isDelay && !isDead,
    order: 'kept',
    delivery: 'exactly-once',
    id: 'message-id',
    tap: tappedEvery,
    bindings: isDelay ? [] : bound.flatMap(bindingOf),
    ...numbers(effective),
    singleConsumer: effective['x-single-active-consumer'] === true,
    consequences: consequencesOf(queue, { effective, bound, isConsumerQueue: topic !== undefined, isDelay, isDead }),
  }
}

interface Bound {
  readonly exchange: string
  readonly keys: readonly string[]
  readonly translation: Translation
}

/** By exchange, all bindings to the queue together. */
function boundExchanges(queue: QueueDefinition, { definitions, exchanges }: DraftContext): Bound[] {
  return exchanges.flatMap(({ name }) => {
    const exchange = definitions.exchanges.find((one) => one.name === name)
    const bindings = definitions.bindings.filter(
      ({ source, destination, destinationType }) =>
        source === name && destination === queue.name && destinationType === 'queue',
    )
    if (!exchange || bindings.length === 0) return []
    const translation = anyOf(bindings.map((binding) => translateBinding(exchange, binding)))
    return [{ exchange: name, keys: bindings.map(({ routingKey }) => routingKey), translation }]
  })
}

function bindingOf({ exchange, keys, translation }: Bound): PlannedQueue['bindings'] {
  if (translation.kind === 'none') return []
  const key = [...new Set(keys)].join(', ')
  return [{ exchange, key, ...(translation.kind === 'selector' ? { selector: translation.selector } : {}) }]
}

function numbers(
  effective: Readonly<Record<string, unknown>>,
): Pick<PlannedQueue, 'maxPriority' | 'ttlMs' | 'redeliveries'> {
  const [maxPriority, ttlMs, redeliveries] = ['x-max-priority', 'x-message-ttl', 'x-delivery-limit'].map((name) => {
    const value = effective[name]
    return typeof value === 'number' ? value : undefined
  })
  return {
    ...(maxPriority ? { maxPriority } : {}),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(redeliveries === undefined ? {} : { redeliveries }),
  }
}

interface QueueCircumstances {
  readonly effective: Readonly<Record<string, unknown>>
  readonly bound: readonly Bound[]
  readonly isConsumerQueue: boolean
  readonly isDelay: boolean
  readonly isDead: boolean
}

function consequencesOf(queue: QueueDefinition, circumstances: QueueCircumstances): string[] {
  const { effective, bound, isConsumerQueue, isDelay, isDead } = circumstances
  const has = (name: string) => effective[name] !== undefined
  return [
    ...(isConsumerQueue ? ['It must exist before anybody publishes to its topic; applying the plan creates it.'] : []),
    ...(!isConsumerQueue && bound.length > 0 && !isDelay
      ? [
          'The broker’s configuration forwards to it: install the printed XML and restart the broker before producers move.',
        ]
      : []),
    ...bound.flatMap(({ exchange, translation }) =>
      translation.kind === 'none' ? [`Its binding to ${exchange} is left out: ${translation.why}`] : [],
    ),
    ...(isDelay
      ? [
          'Its messages wait on the source until their time is over. On the target a sender sets x-opt-delivery-delay instead.',
        ]
      : []),
    ...(isDead ? ['Dead letters lie here: it does not hold up the pause.'] : []),
    ...(has('x-message-ttl') && !isDelay
      ? [
          'ActiveMQ has no limit of age on a queue: what is carried keeps its remaining time to live, new producers must set one.',
        ]
      : []),
    ...(has('x-max-priority') ? priorityConsequence(Number(effective['x-max-priority'])) : []),
    ...(effective['x-single-active-consumer'] === true
      ? ['One consumer gets everything while it lives (exclusive), by the printed configuration.']
      : []),
    ...(has('x-delivery-limit') ? ['AMQP consumers that reject a message send it to the dead letters at once.'] : []),
    ...(queueTypeOf(queue) === 'stream' ? ['A stream is a log and no queue: its messages stay behind.'] : []),
    ...(queue.autoDelete
      ? ['It is deleted with its last consumer: nothing crosses, applications create it anew.']
      : []),
    ...(queue.durable ? [] : ['It was transient; on the target its durable messages survive a restart.']),
    'A message without a message id is carried at least once.',
  ]
}

function priorityConsequence(levels: number): string[] {
  if (levels <= 9) return ['Priorities keep their order, by the printed configuration.']
  return [`ActiveMQ has 10 levels: ${levels + 1} levels share them, neighbours together.`]
}

function withDeadLetters(
  draft: PlannedQueue,
  definitions: Definitions,
  targetOf: ReadonlyMap<string, string>,
): PlannedQueue {
  const queue = definitions.queues.find(({ name }) => name === draft.name)
  const dead = queue && deadLetterQueues(queue, definitions)
  if (!dead) {
    const consequence = `What consumers reject is kept in DLQ.${draft.target}, where RabbitMQ dropped it.`
    return { ...draft, consequences: [...draft.consequences, consequence] }
  }
  const deadLetters = dead.flatMap((name) => targetOf.get(name) ?? [])
  return { ...draft, ...(deadLetters.length > 0 ? { deadLetters } : {}) }
}

/** Exchanges bound to exchanges: what comes to one topic goes on to the other. */
function forwarded(exchanges: readonly PlannedExchange[], definitions: Definitions): PlannedExchange[] {
  return exchanges.map((exchange) => {
    const source = definitions.exchanges.find(({ name }) => name === exchange.name)
    const forwards = exchanges.flatMap((other) => {
      const bindings = definitions.bindings.filter(
        ({ source: from, destination, destinationType }) =>
          from === exchange.name && destination === other.name && destinationType === 'exchange',
      )
      if (!source || bindings.length === 0) return []
      const translation = anyOf(bindings.map((binding) => translateBinding(source, binding)))
      if (translation.kind === 'none') return []
      return [{ to: other.target, ...(translation.kind === 'selector' ? { selector: translation.selector } : {}) }]
    })
    return { ...exchange, forwards }
  })
}
