/** What a broker does, found out by sending: its configuration can be read by nobody. */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { QueueFacts } from '@replatform/connector-rabbitmq/brokers'
import rhea, { type Connection, type EventContext, type Receiver } from 'rhea'
import type { ActivemqPlan } from './activemq-plan.ts'

const probeProperty = 'replatform_probe'
const probeLifeMs = 10_000
const answerWithinMs = 5_000

/**
 * Whether the broker keeps messages of AMQP as they came (transformer `native`): to consumers of STOMP and OpenWire their
 * bodies are then encoded messages. One that converts gives a message an id that it did not have.
 */
export async function keepsAmqpNative(connection: Connection): Promise<boolean> {
  const queue = `queue://replatform.probe.${mark()}`
  const receiver = connection.open_receiver(queue)
  const came = once(receiver, 'message')
  const sender = connection.open_sender(queue)
  await once(sender, 'sendable')
  sender.send({ durable: false, ttl: probeLifeMs, body: '' })
  const [{ message }] = (await came) as [EventContext]
  sender.close()
  receiver.close()
  return message?.message_id === undefined
}

export interface Forward {
  readonly topic: string
  readonly queue: string
}

interface ProbeOptions {
  readonly plan: ActivemqPlan
  readonly facts: ReadonlyMap<string, QueueFacts>
  /** Adds what was seen to be forwarded, and leaves out what stands there. */
  readonly known: Set<string>
}

/**
 * Forwards of the plan that a transient message, such as its selector takes, does not follow. Queues that somebody
 * consumes are left out: a probe must not reach an application.
 */
export async function missingForwards(
  connection: Connection,
  { plan, facts, known }: ProbeOptions,
): Promise<Forward[]> {
  const missing: Forward[] = []
  for (const forward of forwardsOf(plan)) {
    const key = `${forward.topic} ${forward.queue}`
    if (known.has(key) || (facts.get(forward.queue)?.consumers ?? 0) > 0) continue
    if (await isForwarded(connection, forward)) known.add(key)
    else missing.push(forward)
  }
  return missing
}

interface ProbedForward extends Forward {
  readonly sample: Readonly<Record<string, string>>
}

function forwardsOf({ queues, topology }: ActivemqPlan): ProbedForward[] {
  const topics = new Map(topology.exchanges.map(({ name, type, target }) => [name, { type, target }]))
  return queues
    .filter(({ target, carry }) => !target.startsWith('Consumer.') && carry !== 'never' && carry !== 'aged')
    .flatMap(({ target, bindings }) =>
      bindings.flatMap(({ exchange, key }) => {
        const topic = topics.get(exchange)
        // What headers would do is not known from the binding's key.
        if (!topic || topic.type === 'headers') return []
        return [{ topic: topic.target, queue: target, sample: { amqp_routing_key: sampleKey(key) } }]
      }),
    )
}

/** A key that the first of the patterns takes. */
function sampleKey(keys: string): string {
  const [first = ''] = keys.split(', ')
  return first
    .split('.')
    .filter((word) => word !== '#')
    .map((word) => (word === '*' ? 'x' : word))
    .join('.')
}

async function isForwarded(connection: Connection, { topic, queue, sample }: ProbedForward): Promise<boolean> {
  const probe = mark()
  const filter = rhea.filter.selector(`${probeProperty} = '${probe}'`)
  const receiver = connection.open_receiver({ source: { address: `queue://${queue}`, filter } })
  await once(receiver, 'receiver_open')
  const came = once(receiver, 'message').then(() => true)
  const sender = connection.open_sender(`topic://${topic}`)
  await once(sender, 'sendable')
  const application_properties = { ...sample, [probeProperty]: probe }
  sender.send({ durable: false, ttl: probeLifeMs, application_properties, body: '' })
  await once(sender, 'accepted')
  const abort = new AbortController()
  const late = delay(answerWithinMs, false, { signal: abort.signal }).catch(() => false)
  const isThere = await Promise.race([came, late])
  abort.abort()
  sender.close()
  await closed(receiver)
  return isThere
}

async function closed(receiver: Receiver): Promise<void> {
  const done = once(receiver, 'receiver_close')
  receiver.close()
  await done
}

function mark(): string {
  return `${process.pid}-${Math.random().toString(36).slice(2)}`
}
