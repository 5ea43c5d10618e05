/** What the definitions of RabbitMQ mean together: arguments under policies, and where dead letters end. Pure. */
import type {
  Arguments,
  BindingDefinition,
  Definitions,
  PolicyDefinition,
  QueueDefinition,
} from '@replatform/connector-rabbitmq/definitions'

/** What holds for a queue: its own arguments over those of the one policy that applies to it. */
export function effectiveArguments(queue: QueueDefinition, policies: readonly PolicyDefinition[]): Arguments {
  const [policy] = policies
    .filter(
      ({ applyTo, pattern }) =>
        /^(all|queues|classic_queues|quorum_queues)$/.test(applyTo) && fits(pattern, queue.name),
    )
    .toSorted((a, b) => b.priority - a.priority)
  const fromPolicy = Object.entries(policy?.definition ?? {}).map(([key, value]) => [`x-${key}`, value])
  return { ...Object.fromEntries(fromPolicy), ...queue.arguments }
}

/** Queues that dead letters of a queue reach; undefined when it has no dead-letter exchange. */
export function deadLetterQueues(queue: QueueDefinition, definitions: Definitions): string[] | undefined {
  const effective = effectiveArguments(queue, definitions.policies)
  const exchange = effective['x-dead-letter-exchange']
  if (typeof exchange !== 'string') return undefined
  const key = effective['x-dead-letter-routing-key']
  const routed = typeof key === 'string' ? key : undefined
  if (exchange === '')
    return definitions.queues.some(({ name }) => name === (routed ?? queue.name)) ? [routed ?? queue.name] : []
  return reached(exchange, routed, definitions, new Set())
}

/** Nobody reads it: its messages come back, or go on, when their time is over. */
export function isDelayQueue(queue: QueueDefinition, definitions: Definitions): boolean {
  const effective = effectiveArguments(queue, definitions.policies)
  const next = deadLetterQueues(queue, definitions)
  if (!('x-message-ttl' in effective) || !next || next.length === 0) return false
  const bound = definitions.bindings.some(({ source, destination }) => source !== '' && destination === queue.name)
  return !bound || next.some((name) => leadsTo(name, queue.name, definitions, new Set()))
}

/** Reached by dead letters and in no other way. */
export function isDeadLetterQueue({ name }: QueueDefinition, definitions: Definitions): boolean {
  const sources = definitions.queues.filter((queue) => deadLetterQueues(queue, definitions)?.includes(name))
  if (sources.length === 0) return false
  const deadExchanges = new Set(
    definitions.queues.map((queue) => effectiveArguments(queue, definitions.policies)['x-dead-letter-exchange']),
  )
  return definitions.bindings
    .filter(({ source, destination }) => destination === name && source !== '')
    .every(({ source }) => deadExchanges.has(source))
}

function leadsTo(from: string, to: string, definitions: Definitions, seen: Set<string>): boolean {
  if (seen.has(from)) return false
  seen.add(from)
  const queue = definitions.queues.find(({ name }) => name === from)
  const next = queue ? (deadLetterQueues(queue, definitions) ?? []) : []
  return next.includes(to) || next.some((name) => leadsTo(name, to, definitions, seen))
}

/** With the key unknown (that of each message): whatever may be reached. */
function reached(exchange: string, key: string | undefined, definitions: Definitions, seen: Set<string>): string[] {
  if (seen.has(exchange)) return []
  seen.add(exchange)
  const type = definitions.exchanges.find(({ name }) => name === exchange)?.type ?? 'direct'
  const taking = definitions.bindings.filter((binding) => binding.source === exchange && mayTake(type, binding, key))
  const names = taking.flatMap(({ destination, destinationType }) =>
    destinationType === 'queue' ? destination : reached(destination, key, definitions, seen),
  )
  return [...new Set(names)]
}

function mayTake(type: string, { routingKey }: BindingDefinition, key: string | undefined): boolean {
  if (key === undefined || type === 'fanout' || type === 'headers') return true
  if (type !== 'topic') return routingKey === key
  return matchesPattern(routingKey.split('.'), key.split('.'))
}

export function matchesPattern(pattern: readonly string[], words: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return words.length === 0
  if (first === '#') return matchesPattern(rest, words) || (words.length > 0 && matchesPattern(pattern, words.slice(1)))
  return words.length > 0 && (first === '*' || first === words[0]) && matchesPattern(rest, words.slice(1))
}

function fits(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern).test(name)
  } catch {
    return false
  }
}
