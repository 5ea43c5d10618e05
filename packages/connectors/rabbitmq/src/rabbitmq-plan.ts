/** A plan like for like, as it stands in the file that people edit. */
import { ReplatformError } from '@replatform/core/errors'
import { type Static, Type } from 'typebox'
import { Check, Errors } from 'typebox/value'
import { stringify } from 'yaml'
import { noFile } from './plan-text.ts'

const closed = { additionalProperties: false } as const
const Arguments = Type.Record(Type.String(), Type.Unknown())
const Sentences = Type.Array(Type.String())
const Permissions = Type.Object({ configure: Type.String(), write: Type.String(), read: Type.String() }, closed)

const Queue = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    target: Type.String({ minLength: 1 }),
    carry: Type.Enum(['now', 'cutover', 'aged', 'never']),
    inPause: Type.Boolean(),
    order: Type.Enum(['kept', 'loose']),
    delivery: Type.Enum(['exactly-once', 'at-least-once']),
    id: Type.Enum(['message-id', 'none']),
    lapses: Type.Optional(Type.Boolean()),
    tap: Type.Optional(Type.Integer({ minimum: 1 })),
    durable: Type.Boolean(),
    autoDelete: Type.Boolean(),
    arguments: Arguments,
    consequences: Sentences,
  },
  closed,
)

const Exchange = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    type: Type.String(),
    durable: Type.Boolean(),
    autoDelete: Type.Boolean(),
    internal: Type.Boolean(),
    arguments: Arguments,
  },
  closed,
)

const Binding = Type.Object(
  {
    source: Type.String(),
    destination: Type.String(),
    destinationType: Type.Enum(['queue', 'exchange']),
    routingKey: Type.String(),
    arguments: Arguments,
  },
  closed,
)

const Policy = Type.Object(
  {
    name: Type.String(),
    pattern: Type.String(),
    applyTo: Type.String(),
    priority: Type.Number(),
    definition: Arguments,
    consequences: Sentences,
  },
  closed,
)

const User = Type.Object(
  {
    name: Type.String(),
    /** On the target until the cutover: what consumers that go first need. Nothing unless edited. */
    before: Type.Optional(Permissions),
    /** From the cutover on. */
    permissions: Permissions,
  },
  closed,
)

const TopicPermission = Type.Object(
  { user: Type.String(), exchange: Type.String(), write: Type.String(), read: Type.String() },
  closed,
)

const LeftOut = Type.Object({ object: Type.String(), why: Type.String() }, closed)

export const RabbitmqPlan = Type.Object(
  {
    queues: Type.Array(Queue),
    topology: Type.Object(
      {
        exchanges: Type.Array(Exchange),
        bindings: Type.Array(Binding),
        policies: Type.Array(Policy),
        users: Type.Array(User),
        topicPermissions: Type.Array(TopicPermission),
        leftOut: Type.Array(LeftOut),
      },
      closed,
    ),
  },
  closed,
)
export type RabbitmqPlan = Static<typeof RabbitmqPlan>
export type RabbitmqTopology = RabbitmqPlan['topology']
export type PlannedQueue = RabbitmqPlan['queues'][number]

/** Throws `topology.invalid`, which names the place and what was expected there, never the value. */
export function readRabbitmqPlan(edited: unknown, placeOf = noFile): RabbitmqPlan {
  if (Check(RabbitmqPlan, edited)) return edited
  const [first] = Errors(RabbitmqPlan, edited)
  const pointer = first?.instancePath ?? ''
  throw new ReplatformError('topology.invalid', {
    message: `The plan is wrong at ${pointer || 'its top'}${placeOf(pointer)}: ${first?.message ?? 'it is no plan'}.`,
  })
}

/** As a file for people: what each field means stands above it. */
export function renderPlan(plan: object): string {
  return `${legend}${stringify(plan, { lineWidth: 0 })}`
}

const legend = `# carry: now (from the start on; its consumers are on the target, or nobody consumes it)
#        cutover (its consumers stay on the source until the cutover drains it)
#        aged (stays until its time is over, and crosses from where it goes then) · never
# inPause: whether the write pause lasts until the queue is empty; what is left crosses afterwards otherwise
# order: kept · loose          id: what a consumer's inbox recognizes a repeat by
# tap: every so many-th message is copied by the target and compared with what was read (1: all of them)
# users: before (on the target until the cutover, for consumers that go first) · permissions (from then on)
# This file is read again while messages flow: save it, and the bridge follows.
`
