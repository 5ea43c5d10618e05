/** The translation: what a person reads of it, and that the broker then does with every message what RabbitMQ did. */
import { once } from 'node:events'
import { AMQPClient } from '@cloudamqp/amqp-client'
import { type Definitions, parseDefinitions } from '@replatform/connector-rabbitmq/definitions'
import { readPlanText } from '@replatform/connector-rabbitmq/plan-text'
import { forbiddenByAmazonMq } from '@replatform/testkit/activemq-amazon-mq'
import { type ActivemqServer, startActivemq } from '@replatform/testkit/activemq-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import rhea from 'rhea'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { type ActivemqPlan, type PlannedQueue, readActivemqPlan } from './activemq-plan.ts'
import { brokerConfiguration } from './broker-configuration.ts'
import { planTopology } from './plan-translation.ts'
import { connectAmqp, drainOverAmqp } from './test-fixtures/consumers.ts'

const vhost = '/'
const isOurs = (user: string) => user === 'rig'
const queue = (name: string, given: object = {}) => ({
  name,
  vhost,
  durable: true,
  auto_delete: false,
  arguments: given,
})
const exchange = (name: string, type: string, given: object = {}) => ({
  name,
  vhost,
  type,
  durable: true,
  auto_delete: false,
  internal: false,
  arguments: given,
})
const binding = (source: string, destination: string, routing_key: string, given: object = {}, kind = 'queue') => ({
  source,
  vhost,
  destination,
  destination_type: kind,
  routing_key,
  arguments: given,
})

function definitions(parts: object): Definitions {
  return parseDefinitions({ rabbitmq_version: '3.10.8', vhosts: [{ name: vhost }], ...parts }, vhost)
}

function planOf(parts: object): ActivemqPlan {
  return planTopology({ definitions: definitions(parts), facts: [], isOurs })
}

function queueOf(plan: ActivemqPlan, name: string): PlannedQueue {
  const found = plan.queues.find((one) => one.name === name)
  if (!found) throw new Error(`no queue ${name} in the plan`)
  return found
}

const dead = { 'x-dead-letter-exchange': 'payments.dead', 'x-dead-letter-routing-key': 'risk' }
const payments = {
  exchanges: [
    exchange('payments.v1', 'topic'),
    exchange('payments.dead', 'direct'),
    exchange('later', 'x-delayed-message'),
  ],
  queues: [
    queue('payments.risk', { 'x-single-active-consumer': true, ...dead }),
    queue('payments.risk.retry', {
      'x-message-ttl': 500,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'payments.risk',
    }),
    queue('payments.risk.dead'),
    queue('captures', { 'x-max-priority': 20, 'x-max-length': 1000 }),
  ],
  bindings: [
    binding('payments.v1', 'payments.risk', 'payments.#'),
    binding('payments.v1', 'payments.risk', '#'),
    binding('payments.v1', 'captures', 'payments.*.captured'),
    binding('payments.dead', 'payments.risk.dead', 'risk'),
  ],
  users: [{ name: 'risk', password_hash: 'secret-hash', tags: [] }],
  permissions: [{ user: 'risk', vhost, configure: '^$', write: '^payments\\.dead$', read: '^payments\\.risk$' }],
  parameters: [{ component: 'federation-upstream', name: 'branch', vhost, value: {} }],
}

test('a queue that takes everything is a consumer queue, one that filters is forwarded to, one that delays ages out', () => {
  const plan = planOf(payments)
  expect(plan.topology.exchanges.map(({ name, target }) => [name, target])).toEqual([
    ['payments.dead', 'VirtualTopic.payments.dead'],
    ['payments.v1', 'VirtualTopic.payments.v1'],
  ])
  expect(queueOf(plan, 'payments.risk')).toMatchObject({
    // With a dot in its word the topic would not find it.
    target: 'Consumer.payments-risk.VirtualTopic.payments.v1',
    carry: 'cutover',
    inPause: true,
    singleConsumer: true,
    deadLetters: ['payments.risk.dead'],
  })
  expect(queueOf(plan, 'captures')).toMatchObject({
    target: 'captures',
    maxPriority: 20,
    bindings: [
      {
        exchange: 'payments.v1',
        key: 'payments.*.captured',
        selector: "amqp_routing_key LIKE 'payments.%.captured' AND NOT (amqp_routing_key LIKE '%.%.%.%')",
      },
    ],
  })
  expect(queueOf(plan, 'payments.risk.retry')).toMatchObject({ carry: 'aged', inPause: false, bindings: [] })
  expect(queueOf(plan, 'payments.risk.dead')).toMatchObject({
    carry: 'now',
    inPause: false,
    target: 'payments.risk.dead',
  })
  expect(plan.topology.users).toMatchObject([
    { name: 'risk', read: ['Consumer.payments-risk.VirtualTopic.payments.v1'], write: ['VirtualTopic.payments.dead'] },
  ])
})

test('what has no counterpart is named with what to do, and no secret is in the plan', () => {
  const given = {
    ...payments,
    exchanges: [
      ...payments.exchanges,
      exchange('h', 'headers'),
      exchange('rest', 'topic', { 'alternate-exchange': 'x' }),
    ],
    bindings: [
      ...payments.bindings,
      binding('h', 'captures', '', { 'x-match': 'any', 'kind': 'vip', 'n': 5 }),
      binding('h', 'captures', '', { 'x-match': 'all', 'not-a-name': 1 }),
    ],
    policies: [
      {
        name: 'ha',
        vhost,
        'pattern': '^cap',
        'apply-to': 'queues',
        'priority': 0,
        'definition': { 'ha-mode': 'all', 'overflow': 'reject-publish', 'strange': 1 },
      },
    ],
  }
  const { leftOut } = planOf(given).topology
  expect(leftOut.map(({ object }) => object)).toEqual([
    'exchange later',
    'alternate exchange of rest',
    'x-max-length of queue captures',
    'x-overflow of queue captures',
    'binding h → captures',
    'binding h → captures',
    'strange of policy ha',
    'federation-upstream branch',
  ])
  for (const { why, remedy } of leftOut) expect([why, remedy].every((text) => text.endsWith('.'))).toBe(true)
  expect(JSON.stringify(planOf(given))).not.toContain('secret-hash')
})

test('a plan survives its file, and an edit that would lose messages is told by the name of its queue', () => {
  const plan = planOf(payments)
  expect(readActivemqPlan(parse(stringify(plan)))).toEqual(plan)
  const edited = (name: string, change: Partial<PlannedQueue>) => ({
    ...plan,
    queues: plan.queues.map((one) => (one.name === name ? { ...one, ...change } : one)),
  })
  const complaints: [object, RegExp][] = [
    [
      edited('payments.risk', { target: 'Consumer.payments.risk.VirtualTopic.payments.v1' }),
      /payments\.risk: .* no dot/,
    ],
    [edited('payments.risk', { target: 'Consumer.risk.VirtualTopic.other' }), /payments\.risk: .* another topic/],
    [edited('captures', { target: 'Consumer.captures.VirtualTopic.payments.v1' }), /captures: .* selector/],
    [edited('captures', { target: 'a,b' }), /captures: its target/],
    [edited('captures', { target: 'payments.risk.dead' }), /payments\.risk\.dead is that of/],
    [edited('captures', { id: 'none' }), /exactly once needs an id/],
    [edited('captures', { bindings: [{ exchange: 'gone', key: '' }] }), /no exchange of the plan/],
    [edited('captures', { carry: 'later' as 'now' }), /queue captures, carry/],
    [{ queues: [] }, /its top/],
  ]
  for (const [wrong, message] of complaints) expect(() => readActivemqPlan(wrong)).toThrow(message)
  const { value, placeOf } = readPlanText(stringify(complaints[3]?.[0]), 'events.yaml')
  const line = stringify(value).split('\n').indexOf('  - name: captures') + 1
  expect(() => readActivemqPlan(value, placeOf)).toThrow(`queue captures (line ${line} of events.yaml): its target`)
})

test('names that ActiveMQ takes for patterns, lists or options are given others, each once', () => {
  const plan = planOf({
    exchanges: [exchange('a>b', 'fanout')],
    queues: [queue('q*1'), queue('q,1'), queue('a.b'), queue('a-b'), queue('x?consumer.prefetchSize=1')],
    bindings: [binding('a>b', 'a.b', ''), binding('a>b', 'a-b', '')],
  })
  expect(plan.queues.map(({ target }) => target)).toEqual([
    'Consumer.a-b.VirtualTopic.a-b',
    'Consumer.a-b-2.VirtualTopic.a-b',
    'q-1',
    'q-1-2',
    'x-consumer.prefetchSize-1',
  ])
})

const patterns = [
  'a.b',
  'a.*',
  '*.b',
  'a.*.c',
  'a.#',
  '#.c',
  'a.#.c',
  '*.x.#',
  '#.x.#',
  '*.*',
  '*',
  '#',
  "it's.50%_!",
  '#.a.*',
  '#.*',
]
const keys = [
  'a',
  'a.b',
  'a.c',
  'b',
  'a.b.c',
  'a.b.c.c',
  'a..c',
  'x',
  'p.x',
  'p.x.q',
  'p.r.x',
  '.x',
  'x.x',
  'a.a.z',
  "it's.50%_!",
  "it's.50ab!",
  '',
]
const headerBindings = [
  { 'x-match': 'all', 'kind': 'vip', 'n': 5 },
  { 'x-match': 'any', 'kind': 'vip', 'n': 5 },
]
const headers = [{ kind: 'vip' }, { kind: 'vip', n: 5 }, { n: 5 }, { kind: 'other', n: 6 }, {}]

test('with the printed configuration, as Amazon MQ permits it, every message reaches the queues that it reached', async () => {
  await using source = await startRabbitmq()
  const arrivals = await arrivalsOnRabbitmq(source)
  const exported = await definitionsOf(source)
  const plan = planTopology({ definitions: parseDefinitions(exported, vhost), facts: [], isOurs })
  const configuration = brokerConfiguration(plan)
  expect(forbiddenByAmazonMq(configuration)).toEqual([])
  const users = { rig: { password: 'rig-activemq', groups: ['admins'] } }
  await using target = await startActivemq({ flavour: 'amazon-mq', configuration, users })
  expect(await arrivalsOnActivemq(target, plan)).toEqual(arrivals)
}, 180_000)

async function definitionsOf({ management, user, password }: RabbitmqServer): Promise<unknown> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const answer = await fetch(`${management.url}/api/definitions`, { headers: { authorization } })
  return await answer.json()
}

async function arrivalsOnRabbitmq(server: RabbitmqServer): Promise<Record<string, string[]>> {
  const connection = await new AMQPClient(server.url()).connect()
  const channel = await connection.channel()
  await channel.exchangeDeclare('t', 'topic', { durable: true })
  await channel.exchangeDeclare('h', 'headers', { durable: true })
  await channel.exchangeDeclare('behind', 'fanout', { durable: true })
  const queues = [...patterns.map((_, n) => `p.${n}`), ...headerBindings.map((_, n) => `h.${n}`), 'behind.all']
  for (const name of queues) await channel.queueDeclare(name, { durable: true })
  for (const [n, pattern] of patterns.entries()) await channel.queueBind(`p.${n}`, 't', pattern)
  for (const [n, given] of headerBindings.entries()) await channel.queueBind(`h.${n}`, 'h', '', given)
  await channel.exchangeBind('behind', 't', 'a.#')
  await channel.queueBind('behind.all', 'behind', '')
  await channel.confirmSelect()
  for (const key of keys) await channel.basicPublish('t', key, key, { deliveryMode: 2 })
  for (const given of headers) await channel.basicPublish('h', '', JSON.stringify(given), { headers: given })
  const arrivals: Record<string, string[]> = {}
  for (const name of queues) {
    arrivals[name] = []
    for (let message = await channel.basicGet(name); message; message = await channel.basicGet(name)) {
      arrivals[name].push(message.bodyString() ?? '')
    }
    arrivals[name].sort()
  }
  await connection.close()
  return arrivals
}

async function arrivalsOnActivemq(server: ActivemqServer, plan: ActivemqPlan): Promise<Record<string, string[]>> {
  await using connection = await connectAmqp(server)
  const send = async (address: string, properties: object, text: string) => {
    const sender = connection.open_sender(address)
    await once(sender, 'sendable')
    const body = rhea.message.data_section(Buffer.from(text))
    sender.send({ durable: true, application_properties: { ...properties }, body })
    await once(sender, 'accepted')
    sender.close()
  }
  // As applying does: a consumer queue must be there.
  for (const { target } of plan.queues) await send(`queue://${target}`, {}, 'seed')
  for (const key of keys) await send('topic://VirtualTopic.t', { amqp_routing_key: key }, key)
  for (const given of headers) await send('topic://VirtualTopic.h', given, JSON.stringify(given))
  const arrivals: Record<string, string[]> = {}
  for (const { name, target } of plan.queues) {
    const size = await pollUntil('its size is known', async () => (await server.statistics.queue(target))?.size)
    const [seed, ...bodies] = await drainOverAmqp(server, `queue://${target}`, size)
    expect(seed).toBe('seed')
    arrivals[name] = bodies.sort()
  }
  return arrivals
}
