/** Like for like: what stands in the definitions, bent only where the target could not take it. Pure. */
import type { QueueFacts } from './brokers.ts'
import {
  type Arguments,
  type Definitions,
  type PolicyDefinition,
  type QueueDefinition,
  queueTypeOf,
} from './definitions.ts'
import type { PlannedQueue, RabbitmqPlan } from './rabbitmq-plan.ts'
import { type BrokerRules, quorumWithout } from './service-rules.ts'

export interface PlanInput {
  readonly definitions: Definitions
  readonly facts: readonly QueueFacts[]
  readonly rules: BrokerRules
  /** Policies of the target that are not in the definitions: the service's own. */
  readonly targetPolicies: readonly PolicyDefinition[]
  /** The mover's own users are not carried over. */
  readonly isOurs: (user: string) => boolean
}

export function planTopology(input: PlanInput): RabbitmqPlan {
  const { definitions, rules, isOurs } = input
  const exchanges = definitions.exchanges.filter(({ name }) => !isOwnName(name))
  const known = exchanges.filter(({ type }) => rules.exchangeTypes.includes(type))
  const queues = definitions.queues.filter(({ name }) => !isOwnName(name)).map((queue) => planQueue(queue, input))
  const carried = new Set(queues.filter(({ carry }) => carry !== 'never').map(({ name }) => name))
  const present = new Set([...known.map(({ name }) => name), ...builtInExchanges])
  const bindings = definitions.bindings.filter(({ source }) => source !== '' && !isOwnName(source))
  const canStay = ({ source, destination, destinationType }: (typeof bindings)[number]) =>
    present.has(source) && (destinationType === 'queue' ? carried : present).has(destination)
  return {
    queues,
    topology: {
      exchanges: known.map((exchange) => ({ ...exchange, arguments: { ...exchange.arguments } })),
      bindings: bindings.filter(canStay).map((binding) => ({ ...binding, arguments: { ...binding.arguments } })),
      policies: planPolicies(input),
      users: definitions.permissions
        .filter(({ user }) => !isOurs(user))
        .map(({ user, configure, write, read }) => ({ name: user, permissions: { configure, write, read } })),
      topicPermissions: definitions.topicPermissions.filter(({ user }) => !isOurs(user)).map((one) => ({ ...one })),
      leftOut: [
        ...exchanges
          .filter((exchange) => !known.includes(exchange))
          .map(({ name, type }) => ({
            object: `exchange ${name}`,
            why: `The target has no exchanges of type ${type}.`,
          })),
        ...bindings
          .filter((binding) => !canStay(binding))
          .map(({ source, destination }) => ({
            object: `binding ${source} → ${destination}`,
            why: 'One of its ends is left out.',
          })),
        ...definitions.parameters.map(({ component, name }) => ({
          object: `${component} ${name}`,
          why: 'It connects brokers of the old estate; make it anew on the target where it is still wanted.',
        })),
      ],
    },
  }
}

const builtInExchanges = ['amq.direct', 'amq.fanout', 'amq.headers', 'amq.match', 'amq.topic', 'amq.rabbitmq.trace']

/** Ours, of this or another move. */
function isOwnName(name: string): boolean {
  return name.startsWith('replatform.')
}

/** Copies cost the target as much as other messages. */
const tappedEvery = 100
const lapsing = ['x-message-ttl', 'x-max-length', 'x-max-length-bytes', 'x-expires']

function planQueue(queue: QueueDefinition, { definitions, facts, rules }: PlanInput): PlannedQueue {
  const type = queueTypeOf(queue)
  const consequences: string[] = []
  const effective = effectiveArguments(queue, definitions.policies)
  const consumers = facts.find(({ name }) => name === queue.name)?.consumers ?? 0
  const isDelay = consumers === 0 && hasTimeToLive(effective) && deadLetterExchange(effective) !== undefined
  const isDeadLetters = consumers === 0 && !isDelay && isDeadLetterTarget(queue.name, definitions)
  const isStream = type === 'stream'
  if (isDelay)
    consequences.push('Its messages stay on the source until their time is over, and cross from where they go then.')
  if (isDeadLetters)
    consequences.push('Nobody consumes it: it crosses from the start on and does not hold up the pause.')
  if (queue.autoDelete) {
    consequences.push('It is deleted with its last consumer, so nothing of it can cross; applications declare it anew.')
  }
  if ('x-expires' in effective) {
    consequences.push(
      'It lapses when nobody uses it: before the cutover that may happen on the target, where it is made anew then.',
    )
  }
  if (isStream) consequences.push('A stream is a log and no queue: its messages stay behind.')
  if (type === 'quorum') consequences.push('A fault may put messages of a quorum queue behind others.')
  return {
    name: queue.name,
    target: queue.name,
    carry: isStream || queue.autoDelete ? 'never' : isDelay ? 'aged' : isDeadLetters ? 'now' : 'cutover',
    inPause: !(isStream || queue.autoDelete || isDelay || isDeadLetters),
    order: type === 'quorum' ? 'loose' : 'kept',
    delivery: 'at-least-once',
    id: 'message-id',
    tap: tappedEvery,
    ...(lapsing.some((key) => key in effective) ? { lapses: true } : {}),
    ...targetForm(queue, rules, consequences),
    consequences,
  }
}

/** As the target can have it; what changes is said in `consequences`. */
function targetForm(queue: QueueDefinition, rules: BrokerRules, consequences: string[]) {
  let { durable } = queue
  const form = { ...queue.arguments }
  const type = queueTypeOf(queue)
  if (rules.defaultType !== type && form['x-queue-type'] === undefined) {
    form['x-queue-type'] = type
    consequences.push(`The target would make it ${rules.defaultType}: its type is named.`)
  }
  if (!durable && !rules.hasTransientQueues) {
    durable = true
    consequences.push('The target has no transient queues: it becomes durable.')
  }
  for (const key of rules.refusedKeys) {
    if (!(key in form)) continue
    delete form[key]
    consequences.push(`The target refuses ${key}: it is left out.`)
  }
  for (const key of rules.idleKeys) if (key in form) consequences.push(`${key} has no effect on the target.`)
  if (type === 'quorum') withoutIdle(form, consequences)
  if ('x-message-ttl' in form)
    consequences.push(
      'The time that a message has waited on the source is not counted on the target, unless it carries a timestamp and an expiration.',
    )
  return { durable, autoDelete: queue.autoDelete, arguments: form }
}

function withoutIdle(form: Record<string, unknown>, consequences: string[]): void {
  for (const key of quorumWithout) if (key in form) consequences.push(`A quorum queue takes no notice of ${key}.`)
}

/** A key that the target does not know makes it refuse the policy as a whole, with the dead letters that it routes. */
function planPolicies({ definitions, rules, targetPolicies }: PlanInput): RabbitmqPlan['topology']['policies'] {
  const names = new Set(definitions.policies.map(({ name }) => name))
  const theirs = targetPolicies.filter(({ name }) => !names.has(name))
  const lowest = Math.min(...definitions.policies.map(({ priority }) => priority))
  const highest = Math.max(...theirs.map(({ priority }) => priority))
  const raise = theirs.length > 0 && definitions.policies.length > 0 ? Math.max(0, highest - lowest + 1) : 0
  return definitions.policies.map((policy) => {
    const refused = Object.keys(policy.definition).filter((key) => rules.refusedKeys.includes(key))
    const idle = Object.keys(policy.definition).filter((key) => rules.idleKeys.includes(key))
    const definition = Object.fromEntries(Object.entries(policy.definition).filter(([key]) => !refused.includes(key)))
    const consequences = [
      ...refused.map((key) => `The target refuses ${key}: it is left out, the rest of the policy stays.`),
      ...idle.map((key) => `${key} has no effect on the target.`),
      ...(raise > 0 ? [`Its priority is raised by ${raise}, above the target's own policies.`] : []),
    ]
    return { ...policy, priority: policy.priority + raise, definition, consequences }
  })
}

/** What holds for a queue: its own arguments over those of the one policy that applies to it. */
export function effectiveArguments(queue: QueueDefinition, policies: readonly PolicyDefinition[]): Arguments {
  const fitting = policies
    .filter(
      ({ applyTo, pattern }) =>
        /^(all|queues|classic_queues|quorum_queues)$/.test(applyTo) && fits(pattern, queue.name),
    )
    .toSorted((a, b) => b.priority - a.priority)
  const fromPolicy = Object.entries(fitting[0]?.definition ?? {}).map(([key, value]) => [`x-${key}`, value])
  return { ...Object.fromEntries(fromPolicy), ...queue.arguments }
}

function fits(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern).test(name)
  } catch {
    return false
  }
}

function hasTimeToLive(effective: Arguments): boolean {
  return 'x-message-ttl' in effective
}

function deadLetterExchange(effective: Arguments): string | undefined {
  return effective['x-dead-letter-exchange'] as string | undefined
}

/** Reached by dead letters and in no other way. */
function isDeadLetterTarget(name: string, { queues, bindings, policies }: Definitions): boolean {
  const all = queues.map((queue) => effectiveArguments(queue, policies))
  const deadExchanges = new Set(all.map(deadLetterExchange).filter((exchange) => exchange !== undefined))
  const directly = all.some((one) => deadLetterExchange(one) === '' && one['x-dead-letter-routing-key'] === name)
  const bound = bindings.filter(({ destination, source }) => destination === name && source !== '')
  if (bound.some(({ source }) => !deadExchanges.has(source))) return false
  return directly || bound.length > 0
}
