/** Findings about a plan and the queues that it moves. Pure: facts in, findings out. */
import { evidence, type Finding } from '@replatform/core/finding'
import type { QueueFacts, TopologyChange } from './brokers.ts'
import type { Definitions } from './definitions.ts'
import type { RabbitmqPlan } from './rabbitmq-plan.ts'
import type { BrokerRules } from './service-rules.ts'

export interface TopologyFacts {
  readonly plan: RabbitmqPlan
  readonly definitions: Definitions
  readonly facts: readonly QueueFacts[]
  readonly changes: readonly TopologyChange[]
  /** Queues of the target that hold messages. */
  readonly occupied: readonly QueueFacts[]
  /** The move has prepared the target already. */
  readonly isPrepared: boolean
  readonly rules: BrokerRules
}

/** What one queue drains at on a small broker; said as an estimate. */
const drainedPerSecond = 10_000

export function topologyFindings(facts: TopologyFacts): Finding[] {
  return [
    ...differing(facts),
    ...occupiedTarget(facts),
    ...leftOut(facts),
    ...planned(facts),
    ...translated(facts),
    ...repeats(facts),
    ...backlog(facts),
    ...withoutConsumer(facts),
    ...growing(facts),
    ...unacknowledged(facts),
    ...otherHosts(facts),
  ]
}

function differing({ changes }: TopologyFacts): Finding[] {
  const found = changes.filter(({ action }) => action === 'differs')
  return finding(
    found.map(({ object, detail }) => `${object}: ${detail}`),
    {
      id: 'rabbitmq.differs',
      severity: 'blocker',
      title: 'The target already has objects of these names with other properties.',
      remedy: 'Delete them on the target, or edit the plan so that it fits them.',
    },
  )
}

function occupiedTarget({ plan, occupied, isPrepared }: TopologyFacts): Finding[] {
  if (isPrepared) return []
  const names = new Set(plan.queues.map(({ target }) => target))
  const found = occupied.filter(({ name }) => names.has(name))
  return finding(
    found.map(({ name, ready }) => `${name}: ${ready} messages`),
    {
      id: 'rabbitmq.target-not-empty',
      severity: 'blocker',
      title: 'Queues of the target hold messages that this move did not bring.',
      remedy: 'Empty them yourself, or name another virtual host: Replatform never drops what it did not make.',
    },
  )
}

function leftOut({ plan }: TopologyFacts): Finding[] {
  const all = plan.topology.leftOut
  const delayed = all.filter(({ why }) => why.includes('x-delayed-message'))
  return [
    ...finding(
      delayed.map(({ object }) => object),
      {
        id: 'rabbitmq.delayed-exchange',
        severity: 'risk',
        title: 'Messages that wait inside a delayed-message exchange are in no queue and cannot be carried over.',
        remedy:
          'Let its producers use a queue with a time to live and a dead-letter exchange instead, and wait until the longest delay is over before the cutover.',
      },
    ),
    ...finding(
      all.filter((one) => !delayed.includes(one)).map(({ object, why }) => `${object}: ${why}`),
      {
        id: 'rabbitmq.left-out',
        severity: 'risk',
        title: 'Not everything of the source has a place on the target.',
        remedy: 'Change the producers and consumers that need it before the cutover, or make it on the target by hand.',
      },
    ),
  ]
}

function planned({ changes }: TopologyFacts): Finding[] {
  const found = changes.filter(({ action }) => action !== 'differs')
  return finding(
    found.map(({ action, object, detail }) => `${action} ${object}${detail === '' ? '' : ` (${detail})`}`),
    {
      id: 'rabbitmq.changes',
      severity: 'note',
      title: `The plan makes ${found.length} ${found.length === 1 ? 'change' : 'changes'} on the target.`,
      remedy:
        'Nothing, or write the plan with `replatform topology`, edit it, and name it as topology in the estate file.',
    },
  )
}

function translated({ plan, rules }: TopologyFacts): Finding[] {
  const found = [
    ...plan.queues.flatMap(({ name, consequences }) => consequences.map((one) => `queue ${name}: ${one}`)),
    ...plan.topology.policies.flatMap(({ name, consequences }) => consequences.map((one) => `policy ${name}: ${one}`)),
  ]
  return finding(found, {
    id: 'rabbitmq.consequences',
    severity: 'note',
    title: `Some things are different on RabbitMQ ${rules.version}.`,
    remedy: 'Read each of them; the plan says the same beside its object.',
  })
}

function repeats({ plan }: TopologyFacts): Finding[] {
  const found = plan.queues.filter(({ carry, delivery }) => carry !== 'never' && delivery === 'at-least-once')
  return finding(
    found.map(({ name, id }) => `${name}: recognized by ${id === 'none' ? 'nothing' : id}`),
    {
      id: 'rabbitmq.at-least-once',
      severity: 'note',
      title: 'After a crash of the bridge or of a link these queues may deliver a message a second time.',
      remedy:
        "RabbitMQ removes no duplicates: let the consumers' inbox recognize the message id, as it must for redeliveries anyway.",
    },
  )
}

function backlog({ plan, facts }: TopologyFacts): Finding[] {
  const inPause = new Set(
    plan.queues.filter(({ inPause, carry }) => inPause && carry === 'cutover').map(({ name }) => name),
  )
  const found = facts.filter(({ name, ready }) => inPause.has(name) && ready > drainedPerSecond / 10)
  const seconds = Math.ceil(found.reduce((sum, { ready }) => sum + ready, 0) / drainedPerSecond)
  return finding(
    found.map(({ name, ready }) => `${name}: ${ready} messages`),
    {
      id: 'rabbitmq.backlog-in-pause',
      severity: 'risk',
      title: `These queues would be drained inside the write pause, which takes about ${seconds} s.`,
      remedy:
        'Let their consumers catch up first, raise pauseBudget, or move their consumers first and set carry: now in the plan.',
    },
  )
}

function withoutConsumer({ plan, facts }: TopologyFacts): Finding[] {
  const carried = new Set(plan.queues.filter(({ carry }) => carry === 'cutover').map(({ name }) => name))
  const found = facts.filter(({ name, consumers }) => consumers === 0 && carried.has(name))
  return finding(
    found.map(({ name, ready, bytes }) => `${name}: ${ready} messages, ${bytes} bytes`),
    {
      id: 'rabbitmq.no-consumer',
      severity: 'risk',
      title: 'Nobody consumes these queues.',
      remedy:
        'Find out whether they are still wanted; set carry: now in the plan where nobody will come back for them.',
    },
  )
}

function growing({ facts }: TopologyFacts): Finding[] {
  const found = facts.filter((one) => one.ready > 1_000 && one.publishedPerSecond > one.deliveredPerSecond * 1.1)
  const figures = found.map(
    (one) => `${one.name}: ${one.publishedPerSecond.toFixed(1)}/s in, ${one.deliveredPerSecond.toFixed(1)}/s out`,
  )
  return finding(figures, {
    id: 'rabbitmq.growing',
    severity: 'risk',
    title: 'These queues grow: their consumers do not keep up.',
    remedy: 'Give them more consumers before the move, or the write pause will have to drain what they left.',
  })
}

function unacknowledged({ facts }: TopologyFacts): Finding[] {
  const found = facts.filter((one) => one.unacknowledged > 0)
  return finding(
    found.map((one) => `${one.name}: ${one.unacknowledged} unacknowledged, ${one.consumers} consumers`),
    {
      id: 'rabbitmq.unacknowledged',
      severity: 'note',
      title: 'Consumers hold messages that they have not acknowledged.',
      remedy:
        'The fence waits for them as long as the pause allows; what is not acknowledged then is delivered again on the target.',
    },
  )
}

function otherHosts({ definitions }: TopologyFacts): Finding[] {
  const others = definitions.vhosts.filter((name) => name !== definitions.vhost)
  return finding(others, {
    id: 'rabbitmq.other-vhosts',
    severity: 'note',
    title: 'The source has virtual hosts that this move leaves alone.',
    remedy: 'Give each of them a store of its own in the estate file.',
  })
}

function finding(found: readonly string[], rest: Omit<Finding, 'evidence'>): Finding[] {
  return found.length === 0 ? [] : [{ ...rest, evidence: evidence(found) }]
}
