/** Findings about a plan RabbitMQ → ActiveMQ. Pure: facts in, findings out. */
import type { QueueFacts } from '@replatform/connector-rabbitmq/brokers'
import type { Definitions } from '@replatform/connector-rabbitmq/definitions'
import { evidence, type Finding } from '@replatform/core/finding'
import type { ActivemqPlan, PlannedQueue } from './activemq-plan.ts'
import type { BrokerConnection } from './jolokia.ts'
import { isOwnConnection } from './own-names.ts'
import { rulesFrom, rulesOf, triedVersion } from './service-rules.ts'

export interface PlanFacts {
  readonly plan: ActivemqPlan
  readonly definitions: Definitions
  /** Whether the broker keeps messages of AMQP as they came. */
  readonly isNative: boolean
  /** Queues of the target. */
  readonly there: readonly QueueFacts[]
  readonly isPrepared: boolean
  readonly connections: readonly BrokerConnection[]
  readonly service: string | undefined
  /** Of the target, `5.18.6`. */
  readonly version: string
}

export function planFindings(facts: PlanFacts): Finding[] {
  return [
    ...leftOut(facts),
    ...configuration(facts),
    ...occupied(facts),
    ...nativeTransformer(facts),
    ...versionOf(facts),
    ...consequences(facts),
    ...repeats(facts),
    ...notFenced(facts),
    ...otherHosts(facts),
  ]
}

/** One a remedy, with everything that it is good for. */
function leftOut({ plan }: PlanFacts): Finding[] {
  const byRemedy = Map.groupBy(plan.topology.leftOut, ({ why, remedy }) => `${why}\n${remedy}`)
  return [...byRemedy.values()].flatMap((same) => {
    const [first] = same
    if (!first) return []
    return [
      {
        id: 'activemq.left-out',
        severity: 'risk' as const,
        title: `Not carried over: ${first.why}`,
        evidence: evidence(same.map(({ object }) => object)),
        remedy: first.remedy,
      },
    ]
  })
}

/** Consumers get nothing of what the configuration does not forward, and nobody says so. */
function configuration({ plan, service }: PlanFacts): Finding[] {
  const needs = plan.queues.filter(needsConfiguration)
  if (needs.length === 0) return []
  const restart = service === 'amazon-mq' ? 'save it as a revision, apply it and reboot' : 'restart the broker'
  return [
    {
      id: 'activemq.configuration',
      severity: 'risk',
      title: `${needs.length} queues need the broker's configuration: forwarding, priorities, one consumer, dead letters.`,
      evidence: evidence(needs.map(({ name, target }) => `${name} → ${target}`)),
      remedy: `Merge what \`replatform topology --configuration\` prints into the configuration, and ${restart}.`,
    },
  ]
}

function needsConfiguration(queue: PlannedQueue): boolean {
  if (queue.carry === 'never' || queue.carry === 'aged') return false
  const isForwarded = queue.bindings.length > 0 && !queue.target.startsWith('Consumer.')
  const hasPolicy = queue.singleConsumer || queue.maxPriority !== undefined || queue.deadLetters !== undefined
  return isForwarded || hasPolicy || queue.redeliveries !== undefined
}

function occupied({ plan, there, isPrepared }: PlanFacts): Finding[] {
  if (isPrepared) return []
  const targets = new Set(plan.queues.map(({ target }) => target))
  const full = there.filter(({ name, ready, unacknowledged }) => targets.has(name) && ready + unacknowledged > 0)
  if (full.length === 0) return []
  return [
    {
      id: 'activemq.target-not-empty',
      severity: 'blocker',
      title: 'Queues of the plan hold messages on the target that this move did not bring.',
      evidence: evidence(full.map(({ name, ready, unacknowledged }) => `${name}: ${ready + unacknowledged}`)),
      remedy: 'Empty them, or give the queues other names in the plan.',
    },
  ]
}

function nativeTransformer({ isNative }: PlanFacts): Finding[] {
  if (!isNative) return []
  return [
    {
      id: 'activemq.amqp-kept-native',
      severity: 'risk',
      title:
        'The broker keeps messages of AMQP as they came: consumers of STOMP and JMS over OpenWire see encoded bytes.',
      evidence: ['a message came back from the broker without an id of its own'],
      remedy:
        'Let consumers speak AMQP 1.0 (JMS: Qpid JMS), or set transport.transformer=jms on the connector where you own the broker.',
    },
  ]
}

function versionOf({ version, service }: PlanFacts): Finding[] {
  const { minor, isTried, endsOn } = rulesOf(version)
  const findings: Finding[] = []
  if (service === 'amazon-mq' && endsOn) {
    findings.push({
      id: 'activemq.version-ended',
      severity: 'risk',
      title: `Amazon MQ has ended its support of ActiveMQ ${minor}: it upgrades the broker by itself, and reboots it.`,
      evidence: [`the target runs ${version}`, `support ended on ${endsOn}`, `known as of ${rulesFrom}`],
      remedy: 'Upgrade the broker before the move begins, and not in the weeks of the cutover.',
    })
  }
  if (!isTried) {
    findings.push({
      id: 'activemq.version-untried',
      severity: 'note',
      title: `This route was tried on ActiveMQ ${triedVersion}, and the target runs another version.`,
      evidence: [`the target runs ${version}`, `known as of ${rulesFrom}`],
      remedy: 'Rehearse the cutover with your own consumers before you rely on it.',
    })
  }
  return findings
}

function consequences({ plan }: PlanFacts): Finding[] {
  const all = plan.queues.map(({ name, target, consequences: own }) => `${name} → ${target}: ${own.join(' ')}`)
  const topics = plan.topology.exchanges.map(
    ({ name, target, consequences: own }) => `${name} → ${target}: ${own.join(' ')}`,
  )
  if (all.length + topics.length === 0) return []
  return [
    {
      id: 'activemq.translated',
      severity: 'note',
      title: `${topics.length} exchanges become virtual topics and ${all.length} queues become queues of ActiveMQ.`,
      evidence: evidence([...topics, ...all], 20),
      remedy: 'Read the plan; name it in the estate as topology and edit what should be otherwise.',
    },
  ]
}

function repeats({ plan }: PlanFacts): Finding[] {
  const queues = plan.queues.filter(({ delivery, carry }) => delivery === 'at-least-once' && carry !== 'never')
  if (queues.length === 0) return []
  return [
    {
      id: 'activemq.repeats',
      severity: 'note',
      title: `${queues.length} queues are carried at least once: a crash may repeat messages there.`,
      evidence: evidence(queues.map(({ name, id }) => `${name}: ${id === 'none' ? 'no id' : 'amqp_message_id'}`)),
      remedy: 'Let their consumers drop what they know by that id, or let producers set a message id.',
    },
  ]
}

function notFenced({ connections }: PlanFacts): Finding[] {
  const others = connections.filter(({ client }) => !isOwnConnection(client))
  return [
    {
      id: 'activemq.not-fenced',
      severity: 'note',
      title: 'ActiveMQ keeps nobody out: users are changed by its owner only, on Amazon MQ by the API and a reboot.',
      evidence: evidence([
        `${others.length} clients of others are connected`,
        ...others.map(({ client, protocol }) => `${client} (${protocol})`),
      ]),
      remedy: 'Give applications the new address at the cutover, not before. A rollback needs them stopped first.',
    },
  ]
}

function otherHosts({ definitions }: PlanFacts): Finding[] {
  const others = definitions.vhosts.filter((name) => name !== definitions.vhost)
  if (others.length === 0) return []
  return [
    {
      id: 'activemq.other-virtual-hosts',
      severity: 'note',
      title: `Only the virtual host ${definitions.vhost} is moved; ActiveMQ has none, so others need names that do not collide.`,
      evidence: evidence(others),
      remedy: 'Give each virtual host that must move a store of its own, and names of its own in its plan.',
    },
  ]
}
