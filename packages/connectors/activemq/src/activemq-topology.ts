/** The translation RabbitMQ → ActiveMQ: planned from the definitions, held against the broker, applied queue by queue. */
import { once } from 'node:events'
import type { QueueFacts, TopologyChange, TopologyTranslation } from '@replatform/connector-rabbitmq/brokers'
import type { Definitions } from '@replatform/connector-rabbitmq/definitions'
import type { PlaceInFile } from '@replatform/connector-rabbitmq/plan-text'
import type { TopologyPlan } from '@replatform/connector-rabbitmq/queue-plan'
import type { Finding } from '@replatform/core/finding'
import rhea, { type Connection } from 'rhea'
import type { ActivemqBroker } from './activemq-broker.ts'
import { type ActivemqPlan, readActivemqPlan } from './activemq-plan.ts'
import { brokerConfiguration } from './broker-configuration.ts'
import { keepsAmqpNative, missingForwards } from './broker-probes.ts'
import { topicOf } from './destination-names.ts'
import { planFindings } from './plan-findings.ts'
import { planTopology } from './plan-translation.ts'

/** Knows by which address a queue of the source is reached on the target, as soon as a plan is known. */
export class ReplyAddresses {
  #targets: ReadonlyMap<string, string> = new Map()

  learn({ queues }: ActivemqPlan): void {
    this.#targets = new Map(queues.map(({ name, target }) => [name, `queue://${target}`]))
  }

  /** Of a queue that the plan does not know there is no address: the name alone is carried. */
  of(queue: string): string | undefined {
    return this.#targets.get(queue)
  }
}

export interface TranslationOptions {
  readonly replies: ReplyAddresses
  readonly service: string | undefined
  /** Whether a user of the source is the mover's. */
  readonly isOurs: (user: string) => boolean
}

export class ActivemqTopologyTranslation implements TopologyTranslation {
  readonly #target: ActivemqBroker
  readonly #replies: ReplyAddresses
  readonly #service: string | undefined
  readonly #isOurs: (user: string) => boolean
  /** What the broker was once seen to forward is not tried again. */
  readonly #forwarding = new Set<string>()

  constructor(target: ActivemqBroker, options: TranslationOptions) {
    this.#target = target
    this.#isOurs = options.isOurs
    this.#replies = options.replies
    this.#service = options.service
  }

  async plan(definitions: Definitions, facts: readonly QueueFacts[]): Promise<ActivemqPlan> {
    return this.#known(planTopology({ definitions, facts, isOurs: this.#isOurs }))
  }

  parse(edited: unknown, placeOf?: PlaceInFile): ActivemqPlan {
    return this.#known(readActivemqPlan(edited, placeOf))
  }

  configuration(plan: TopologyPlan): string {
    return brokerConfiguration(plan as ActivemqPlan)
  }

  async assess({ plan, definitions }: { plan: TopologyPlan; definitions: Definitions }): Promise<Finding[]> {
    const planned = plan as ActivemqPlan
    const isNative = await this.#target.look(({ connection }) => keepsAmqpNative(connection))
    return planFindings({
      plan: planned,
      definitions,
      isNative,
      there: await this.#target.facts(),
      isPrepared: await this.#target.isFenced(),
      connections: await this.#target.jolokia.connections(),
      service: this.#service,
      version: await this.#target.jolokia.version(),
    })
  }

  /** Queues that are missing, and what the broker's configuration does not forward although the plan says so. */
  async diff(plan: TopologyPlan): Promise<TopologyChange[]> {
    const planned = plan as ActivemqPlan
    const facts = new Map((await this.#target.facts()).map((one) => [one.name, one]))
    const creates = wantedQueues(planned)
      .filter(({ target }) => !facts.has(target))
      .map(({ target }): TopologyChange => ({ action: 'create', object: `queue ${target}`, detail: detailOf(target) }))
    if (creates.length > 0) return creates
    const missing = await this.#target.look(({ connection }) =>
      missingForwards(connection, { plan: planned, facts, known: this.#forwarding }),
    )
    return missing.map(({ topic, queue }) => ({
      action: 'differs',
      object: `forwarding ${topic} → ${queue}`,
      detail:
        'The broker’s configuration does not forward it: install what `replatform topology --configuration` prints.',
    }))
  }

  /** Nothing keeps anybody out of ActiveMQ. */
  async admit(): Promise<void> {}

  async apply(plan: TopologyPlan): Promise<void> {
    const there = new Set((await this.#target.facts()).map(({ name }) => name))
    const missing = wantedQueues(plan as ActivemqPlan).filter(({ target }) => !there.has(target))
    await this.#target.look(async ({ connection }) => {
      for (const { target } of missing) await createQueue(connection, target)
    })
    if (!(await this.#target.isFenced())) await this.#target.fence({ withinMs: 10_000, turn: 0 })
  }

  #known(plan: ActivemqPlan): ActivemqPlan {
    this.#replies.learn(plan)
    return plan
  }
}

function wantedQueues({ queues }: ActivemqPlan): ActivemqPlan['queues'] {
  return queues.filter(({ carry }) => carry !== 'never' && carry !== 'aged')
}

function detailOf(target: string): string {
  const topic = topicOf(target)
  return topic ? `takes everything of ${topic}; before it exists, what is published there is lost` : 'plain'
}

const seedProperty = 'replatform_seed'

/** A queue exists as soon as something was sent to it. The seed is taken out again, by its own mark. */
async function createQueue(connection: Connection, queue: string): Promise<void> {
  const seed = `${process.pid}-${Math.random().toString(36).slice(2)}`
  const sender = connection.open_sender(`queue://${queue}`)
  await once(sender, 'sendable')
  sender.send({ durable: true, application_properties: { [seedProperty]: seed }, body: '' })
  await once(sender, 'accepted')
  sender.close()
  const filter = rhea.filter.selector(`${seedProperty} = '${seed}'`)
  const receiver = connection.open_receiver({ source: { address: `queue://${queue}`, filter } })
  await once(receiver, 'message')
  const closed = once(receiver, 'receiver_close')
  receiver.close()
  await closed
}
