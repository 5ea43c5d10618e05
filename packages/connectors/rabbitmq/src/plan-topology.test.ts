import { expect, test } from 'vitest'
import { parse } from 'yaml'
import type { QueueFacts } from './brokers.ts'
import { type Definitions, parseDefinitions } from './definitions.ts'
import { readPlanText } from './plan-text.ts'
import { planTopology } from './plan-topology.ts'
import { readRabbitmqPlan, renderPlan } from './rabbitmq-plan.ts'
import { rulesOf } from './service-rules.ts'
import { topologyFindings } from './topology-findings.ts'

const vhost = '/'
const queue = (name: string, args: object = {}, more: object = {}) => ({
  name,
  vhost,
  durable: true,
  auto_delete: false,
  arguments: args,
  ...more,
})
const exported = {
  rabbitmq_version: '3.10.8',
  vhosts: [{ name: '/' }, { name: 'other' }],
  users: [{ name: 'app', password_hash: 'x', hashing_algorithm: 'y', tags: [] }],
  permissions: [
    { user: 'app', vhost, configure: '', write: '.*', read: '.*' },
    { user: 'mover', vhost, configure: '.*', write: '.*', read: '.*' },
  ],
  exchanges: [
    { name: 'events', vhost, type: 'topic', durable: true, auto_delete: false, internal: false, arguments: {} },
    {
      name: 'later',
      vhost,
      type: 'x-delayed-message',
      durable: true,
      auto_delete: false,
      internal: false,
      arguments: {},
    },
  ],
  queues: [
    queue('payments', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' }),
    queue('dead'),
    queue('retry', { 'x-message-ttl': 60_000, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'payments' }),
    queue('log', { 'x-queue-type': 'stream' }),
    queue('mirrored', { 'x-queue-mode': 'lazy' }),
    queue('transient', {}, { durable: false }),
    queue('reply', {}, { auto_delete: true }),
    queue('elsewhere', {}, { vhost: 'other' }),
  ],
  bindings: [
    { source: 'events', vhost, destination: 'payments', destination_type: 'queue', routing_key: '#', arguments: {} },
    { source: 'later', vhost, destination: 'payments', destination_type: 'queue', routing_key: '', arguments: {} },
  ],
  policies: [
    {
      'name': 'dlx',
      vhost,
      'pattern': '^mirrored$',
      'apply-to': 'queues',
      'priority': 0,
      'definition': { 'ha-mode': 'all', 'dead-letter-exchange': 'events' },
    },
  ],
  parameters: [{ component: 'federation-upstream', name: 'blue', vhost, value: { uri: 'amqp://u:secret@h' } }],
}
const definitions: Definitions = parseDefinitions(exported, vhost)
const facts = (more: Partial<QueueFacts> & { name: string }): QueueFacts => ({
  type: 'classic',
  ready: 0,
  unacknowledged: 0,
  bytes: 0,
  consumers: 1,
  publishedPerSecond: 0,
  deliveredPerSecond: 0,
  ...more,
})
const seen = [
  facts({ name: 'payments', ready: 50_000, publishedPerSecond: 10, unacknowledged: 3 }),
  facts({ name: 'mirrored' }),
]
const exchangeTypes = ['direct', 'topic', 'fanout', 'headers']
const rules = rulesOf({ version: '4.3.1', service: 'amazon-mq', exchangeTypes })
const theirs = {
  name: 'AWS-DEFAULT-POLICY-SINGLE-INSTANCE',
  pattern: '.*',
  applyTo: 'all',
  priority: 0,
  definition: { 'queue-mode': 'lazy' },
}
const isOurs = (user: string) => user === 'mover'
const plan = planTopology({ definitions, facts: seen, rules, targetPolicies: [theirs], isOurs })
const planned = (name: string) => plan.queues.find((one) => one.name === name)

test('where a queue crosses follows from what it is there for', () => {
  expect(planned('payments')).toMatchObject({ carry: 'cutover', inPause: true, order: 'kept' })
  expect(planned('dead')).toMatchObject({ carry: 'now', inPause: false })
  expect(planned('retry')).toMatchObject({ carry: 'aged', inPause: false })
  expect(planned('log')).toMatchObject({ carry: 'never' })
  expect(planned('reply')).toMatchObject({ carry: 'never' })
  expect(planned('elsewhere')).toBeUndefined()
})

test('what the target refuses is left out and said; the rest of a policy stays', () => {
  expect(planned('transient')).toMatchObject({ durable: true })
  expect(planned('mirrored')?.arguments).toMatchObject({ 'x-queue-type': 'classic' })
  const [policy] = plan.topology.policies
  expect(policy).toMatchObject({ priority: 1, definition: { 'dead-letter-exchange': 'events' } })
  expect(policy?.consequences.join()).toMatch(/refuses ha-mode.*raised by 1/)
  expect(plan.topology.exchanges.map(({ name }) => name)).toEqual(['events'])
  expect(plan.topology.bindings).toHaveLength(1)
  expect(plan.topology.leftOut.map(({ object }) => object)).toEqual([
    'exchange later',
    'binding later → payments',
    'federation-upstream blue',
  ])
  expect(plan.topology.users).toEqual([{ name: 'app', permissions: { configure: '', write: '.*', read: '.*' } }])
})

test('an older target takes what it knows as it is', () => {
  const older = rulesOf({
    version: '3.10.8',
    service: undefined,
    exchangeTypes: [...exchangeTypes, 'x-delayed-message'],
  })
  const same = planTopology({ definitions, facts: seen, rules: older, targetPolicies: [], isOurs })
  expect(same.topology.policies[0]).toMatchObject({ priority: 0, definition: { 'ha-mode': 'all' }, consequences: [] })
  expect(same.queues.find(({ name }) => name === 'transient')).toMatchObject({ durable: false, consequences: [] })
  expect(same.topology.leftOut.map(({ object }) => object)).toEqual(['federation-upstream blue'])
})

test('a plan survives being written and read; a wrong edit names its place and no value', () => {
  expect(readRabbitmqPlan(parse(renderPlan(plan)))).toEqual(plan)
  const edited = { ...plan, queues: [{ ...plan.queues[0], carry: 's3cret' }] }
  expect(() => readRabbitmqPlan(edited)).toThrow(/queues\/0\/carry/)
  expect(() => readRabbitmqPlan(edited)).not.toThrow(/s3cret/)
  const text = renderPlan(plan).replace('carry: cutover', 'carry: s3cret')
  const line = text.split('\n').findIndex((one) => one.includes('s3cret')) + 1
  const { value, placeOf } = readPlanText(text, '/etc/replatform/events.yaml')
  expect(() => readRabbitmqPlan(value, placeOf)).toThrow(`/carry (line ${line} of events.yaml): `)
  const { value: incomplete, placeOf: around } = readPlanText('queues:\n  - name: a\n', 'events.yaml')
  expect(() => readRabbitmqPlan(incomplete, around)).toThrow(/line [12] of events.yaml/)
  expect(() => readPlanText('queues: [', 'events.yaml')).toThrow(/line 1/)
})

test('findings say what a person must know, and nothing secret', () => {
  const changes = [{ action: 'differs', object: 'queue payments', detail: 'durable' }] as const
  const occupied = [facts({ name: 'payments', ready: 2 })]
  const found = topologyFindings({ plan, definitions, facts: seen, changes, occupied, isPrepared: false, rules })
  expect(found.map(({ id, severity }) => `${severity} ${id}`)).toEqual([
    'blocker rabbitmq.differs',
    'blocker rabbitmq.target-not-empty',
    'risk rabbitmq.delayed-exchange',
    'risk rabbitmq.left-out',
    'note rabbitmq.consequences',
    'note rabbitmq.at-least-once',
    'risk rabbitmq.backlog-in-pause',
    'risk rabbitmq.growing',
    'note rabbitmq.unacknowledged',
    'note rabbitmq.other-vhosts',
  ])
  expect(JSON.stringify(found)).not.toContain('secret')
  expect(found.find(({ id }) => id === 'rabbitmq.backlog-in-pause')?.title).toContain('5 s')
  const prepared = topologyFindings({ plan, definitions, facts: [], changes: [], occupied, isPrepared: true, rules })
  expect(prepared.filter(({ severity }) => severity === 'blocker')).toEqual([])
})
