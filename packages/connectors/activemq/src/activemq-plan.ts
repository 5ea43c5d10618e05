/** A plan RabbitMQ → ActiveMQ, as it stands in the file that people edit. */
import { noFile } from '@replatform/connector-rabbitmq/plan-text'
import { invariant, ReplatformError } from '@replatform/core/errors'
import { type Static, Type } from 'typebox'
import { Check, Errors } from 'typebox/value'
import { isSafeName, topicOf, virtualTopicPrefix } from './destination-names.ts'

const closed = { additionalProperties: false } as const
const Sentences = Type.Array(Type.String())
const Name = Type.String({ minLength: 1 })

const Binding = Type.Object(
  {
    exchange: Name,
    /** As it stands on the source. */
    key: Type.String(),
    /** What of the topic's messages the queue takes; absent for all. */
    selector: Type.Optional(Name),
  },
  closed,
)

const Queue = Type.Object(
  {
    name: Name,
    target: Name,
    carry: Type.Enum(['now', 'cutover', 'aged', 'never']),
    inPause: Type.Boolean(),
    order: Type.Enum(['kept', 'loose']),
    delivery: Type.Enum(['exactly-once', 'at-least-once']),
    id: Type.Enum(['message-id', 'none']),
    /** Every so many-th message is copied by the target and compared; absent for none. */
    tap: Type.Optional(Type.Integer({ minimum: 1 })),
    bindings: Type.Array(Binding),
    /** Levels of the source's priorities; absent where it keeps none. */
    maxPriority: Type.Optional(Type.Integer({ minimum: 1, maximum: 255 })),
    /** The queue's own limit on the age of its messages, which the bridge puts on each. */
    ttlMs: Type.Optional(Type.Integer({ minimum: 0 })),
    singleConsumer: Type.Boolean(),
    /** Queues of the target that dead letters go to; absent for a dead-letter queue of its own. */
    deadLetters: Type.Optional(Type.Array(Name)),
    redeliveries: Type.Optional(Type.Integer({ minimum: 0 })),
    consequences: Sentences,
  },
  closed,
)

const Exchange = Type.Object(
  {
    name: Name,
    type: Type.String(),
    /** The topic that producers publish to. */
    target: Name,
    /** Other topics that what is published here goes on to. */
    forwards: Type.Array(Type.Object({ to: Name, selector: Type.Optional(Name) }, closed)),
    consequences: Sentences,
  },
  closed,
)

const User = Type.Object(
  { name: Name, read: Type.Array(Name), write: Type.Array(Name), create: Type.Array(Name), consequences: Sentences },
  closed,
)

const LeftOut = Type.Object({ object: Name, why: Type.String(), remedy: Type.String() }, closed)

export const ActivemqPlan = Type.Object(
  {
    queues: Type.Array(Queue),
    topology: Type.Object(
      { exchanges: Type.Array(Exchange), users: Type.Array(User), leftOut: Type.Array(LeftOut) },
      closed,
    ),
  },
  closed,
)
export type ActivemqPlan = Static<typeof ActivemqPlan>
export type PlannedQueue = ActivemqPlan['queues'][number]
export type PlannedExchange = ActivemqPlan['topology']['exchanges'][number]
export type PlannedUser = ActivemqPlan['topology']['users'][number]
export type LeftOut = ActivemqPlan['topology']['leftOut'][number]

/** Throws `topology.invalid`, which names the place and what was expected there. */
export function readActivemqPlan(edited: unknown, placeOf = noFile): ActivemqPlan {
  if (!Check(ActivemqPlan, edited)) {
    const [first] = Errors(ActivemqPlan, edited)
    const pointer = first?.instancePath ?? ''
    throw invalid(`${nameOf(pointer, edited)}${placeOf(pointer)}`, `${first?.message ?? 'it is no plan'}`)
  }
  const [problem] = contradictions(edited)
  if (problem) throw invalid(`${problem.place}${placeOf(pointerOf(problem.place, edited))}`, problem.message)
  return edited
}

interface Problem {
  readonly place: string
  readonly message: string
}

/** What the schema cannot say, and what would lose messages without a word from the broker. */
function contradictions({ queues, topology }: ActivemqPlan): Problem[] {
  const topics = new Map(topology.exchanges.map((exchange) => [exchange.name, exchange]))
  return [
    ...topology.exchanges.flatMap(({ name, target, forwards }) => [
      ...topicProblems(`exchange ${name}`, target),
      ...forwards.flatMap(({ to }) => topicProblems(`exchange ${name}`, to)),
    ]),
    ...queues.flatMap((queue) => queueProblems(queue, topics)),
    ...twice(queues),
  ]
}

function topicProblems(place: string, target: string): Problem[] {
  if (isSafeName(target) && target.startsWith(virtualTopicPrefix)) return []
  return [
    {
      place,
      message: `the topic must be called ${virtualTopicPrefix}… and have letters, digits, ".", "-" and "_" only`,
    },
  ]
}

function queueProblems(queue: PlannedQueue, topics: ReadonlyMap<string, PlannedExchange>): Problem[] {
  const place = `queue ${queue.name}`
  if (!isSafeName(queue.target)) {
    return [{ place, message: 'its target may have letters, digits, ".", "-" and "_" only' }]
  }
  const unknown = queue.bindings.find(({ exchange }) => !topics.has(exchange))
  if (unknown) return [{ place, message: `it is bound to ${unknown.exchange}, which is no exchange of the plan` }]
  if (queue.delivery === 'exactly-once' && queue.id === 'none') {
    return [{ place, message: 'exactly once needs an id: set id to message-id, or delivery to at-least-once' }]
  }
  return consumerProblems(queue, topics)
}

function consumerProblems(queue: PlannedQueue, topics: ReadonlyMap<string, PlannedExchange>): Problem[] {
  const place = `queue ${queue.name}`
  if (!queue.target.startsWith('Consumer.')) return []
  const topic = topicOf(queue.target)
  if (!topic) {
    const message = 'a consumer queue is called Consumer.<word>.VirtualTopic.<topic>, and the word has no dot'
    return [{ place, message: `${message}: the broker would give it nothing` }]
  }
  const strange = queue.bindings.find(({ exchange, selector }) => selector || topics.get(exchange)?.target !== topic)
  if (!strange) return []
  return [
    {
      place,
      message: `it takes everything of ${topic}, so a binding with a selector or of another topic needs a queue of another name`,
    },
  ]
}

function twice(queues: readonly PlannedQueue[]): Problem[] {
  const names = new Map<string, string>()
  const problems: Problem[] = []
  for (const { name, target } of queues) {
    const other = names.get(target.toLowerCase())
    if (other !== undefined) problems.push({ place: `queue ${name}`, message: `${target} is that of ${other} already` })
    names.set(target.toLowerCase(), name)
  }
  return problems
}

/** `/queues/3/carry` as `queue payments, carry`. */
function nameOf(pointer: string, edited: unknown): string {
  const [, first, index, ...rest] = pointer.split('/')
  const list = (edited as { queues?: { name?: unknown }[] } | null)?.queues
  const name = first === 'queues' && Array.isArray(list) ? list[Number(index)]?.name : undefined
  if (typeof name !== 'string') return pointer || 'its top'
  return [`queue ${name}`, ...rest].join(', ')
}

/** `queue payments` as `/queues/3`. */
function pointerOf(place: string, { queues, topology }: ActivemqPlan): string {
  const queue = queues.findIndex(({ name }) => place === `queue ${name}`)
  if (queue >= 0) return `/queues/${queue}`
  return `/topology/exchanges/${topology.exchanges.findIndex(({ name }) => place === `exchange ${name}`)}`
}

function invalid(place: string, message: string): ReplatformError {
  invariant(message !== '', 'A problem has a message.')
  return new ReplatformError('topology.invalid', { message: `The plan is wrong at ${place}: ${message}.` })
}
