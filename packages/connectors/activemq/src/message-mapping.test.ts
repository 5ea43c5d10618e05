/**
 * Every property and every header type of AMQP 0-9-1, through the real broker in both ways that it keeps messages of
 * AMQP, to consumers of AMQP 1.0 and of STOMP, and back.
 */
import { type FieldTable, longText } from '@replatform/connector-rabbitmq/field-table'
import { readProperties, writeProperties } from '@replatform/connector-rabbitmq/message-properties'
import type { MessageProperties } from '@replatform/connector-rabbitmq/source-message'
import { headersOfEveryType } from '@replatform/connector-rabbitmq/test-fixtures/header-types'
import { type ActivemqServer, startActivemq } from '@replatform/testkit/activemq-server'
import rhea, { type Message } from 'rhea'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeForActivemq } from './message-mapping.ts'
import { restoreFromActivemq } from './message-restoring.ts'
import { receiveOverAmqp, receiveOverStomp, sendEncoded } from './test-fixtures/consumers.ts'

const nowMs = Date.UTC(2026, 10, 24, 12)
const rules = { replyAddress: (name: string) => `queue://${name}` }

const everyType: FieldTable = [
  ...headersOfEveryType,
  ['whole-double', { type: 'd', value: 2 }],
  ['infinite', { type: 'd', value: Number.POSITIVE_INFINITY }],
  // What would do harm as a property.
  ['content-length', longText('99')],
  ['JMSXGroupID', longText('g')],
  ['AMQ_SCHEDULED_DELAY', { type: 'l', value: 60_000n }],
  ['with:colon', longText('c')],
  ['', longText('nameless')],
  ['amqp_exchange', longText('not ours')],
  ['x-death', { type: 'A', value: [{ type: 'F', value: deathOf('payments.risk') }] }],
]

function deathOf(queue: string): FieldTable {
  return [
    ['count', { type: 'l', value: 3n }],
    ['reason', longText('expired')],
    ['queue', longText(queue)],
    ['time', { type: 'T', value: 1_700_000_000n }],
    ['original-expiration', longText('60000')],
  ]
}

const everyProperty: MessageProperties = {
  contentType: 'application/json',
  contentEncoding: 'identity',
  headers: everyType,
  deliveryMode: 2,
  priority: 7,
  correlationId: 'c-1',
  replyTo: 'replies',
  messageId: 'm-1',
  timestamp: BigInt(nowMs / 1000),
  type: 'payment.captured',
  userId: 'wallet',
  appId: 'wallet-service',
  clusterId: 'old',
}

const body = Buffer.from('{"amount":"12.30"}')

function encode(properties: MessageProperties, content = body): Buffer {
  const source = { exchange: 'payments', routingKey: 'payments.eu.captured', properties: writeProperties(properties) }
  return encodeForActivemq({ ...source, body: content }, rules, nowMs)
}

describe.each(['native', 'jms'] as const)('a broker that keeps messages of AMQP as %s', (amqpTransformer) => {
  let server: ActivemqServer

  beforeAll(async () => {
    server = await startActivemq({ amqpTransformer })
  })
  afterAll(async () => await server[Symbol.asyncDispose]())

  test('a message with everything comes back as it was', async () => {
    await sendEncoded(server, 'queue://whole', encode(everyProperty))
    const restored = restoreFromActivemq(await receiveOverAmqp(server, 'queue://whole'), nowMs)
    expect(restored).toMatchObject({ exchange: 'payments', routingKey: 'payments.eu.captured', body })
    const { headers = [], ...others } = restored.properties
    const { headers: _, ...expected } = everyProperty
    expect(others).toEqual(expected)
    expect(new Map(headers)).toEqual(new Map(everyType))
  })

  test('an AMQP 1.0 consumer finds scalars with their value and the rest as text', async () => {
    await sendEncoded(server, 'queue://typed', encode(everyProperty))
    const { application_properties: found = {}, ...message } = await receiveOverAmqp(server, 'queue://typed')
    expect(found).toMatchObject({
      'bool': true,
      'int8': -5,
      'uint8': 200,
      'int16': -300,
      'uint16': 60_000,
      'int32': -70_000,
      'uint32': 4_000_000_000,
      'float': 1.5,
      'double': 0.1,
      'decimal': '-19.99',
      'text': 'a\nb:c\\ €😀',
      'bytes': 'AAH/',
      'array': '[1,"two"]',
      'table': '{"inner":"4611686018427387904"}',
      'time': 1_700_000_000_000,
      'void': null,
      'amqp_exchange': 'payments',
      'amqp_routing_key': 'payments.eu.captured',
      'amqp_message_id': 'm-1',
    })
    expect(Object.keys(found)).not.toContain('JMSXGroupID')
    expect(message).toMatchObject({ durable: true, priority: 7, correlation_id: 'c-1', subject: 'payment.captured' })
    expect(message).toMatchObject({ reply_to: 'queue://replies', content_type: 'application/json' })
    expect(Number(message.creation_time)).toBe(nowMs)
  })

  test('a STOMP consumer that acknowledges one by one gets each message once', async () => {
    await sendEncoded(server, 'queue://stomp', encode(everyProperty))
    await sendEncoded(server, 'queue://stomp', encode({ messageId: 'm-2', deliveryMode: 2 }, Buffer.from('second')))
    const [first, second, ...more] = await receiveOverStomp(server, '/queue/stomp', 2)
    expect(more).toEqual([])
    expect(first?.headers).toMatchObject({
      'persistent': 'true',
      'priority': '7',
      'correlation-id': 'c-1',
      'reply-to': '/queue/replies',
      'type': 'payment.captured',
      'int64': '-9223372036854775808',
      'text': 'a\nb:c\\ €😀',
      'amqp_message_id': 'm-1',
    })
    expect(second?.headers.amqp_message_id).toBe('m-2')
    // What keeps AMQP as it came shows the encoded message to everybody else: the assessment tells.
    expect(first?.body.includes(body)).toBe(true)
    if (amqpTransformer === 'jms') expect(first?.body).toEqual(body)
  })

  test.each([
    ['text beyond the basic plane', 'text/plain', Buffer.from('paid 😀 €')],
    ['text with NUL', 'application/json', Buffer.from('{"a":"\0"}')],
    ['plain text', 'text/plain', Buffer.from('bezahlt: 12 €\n')],
    ['bytes that claim to be text', 'text/plain', Buffer.from([0xff, 0, 0xfe])],
    ['another character set', 'text/plain; charset=iso-8859-1', Buffer.from([0xe9, 0x41])],
    ['a Java object', 'application/x-java-serialized-object', Buffer.from([0xac, 0xed, 0, 5])],
    ['nothing', 'application/json', Buffer.alloc(0)],
  ])('a body of %s keeps its bytes and its content type', async (_, contentType, content) => {
    const encoded = encode({ contentType, deliveryMode: 2 }, content)
    await sendEncoded(server, 'queue://bodies', encoded)
    const restored = restoreFromActivemq(await receiveOverAmqp(server, 'queue://bodies'), nowMs)
    expect(restored.body).toEqual(content)
    expect(restored.properties).toEqual({ contentType, deliveryMode: 2 })
    if (amqpTransformer === 'native') return
    await sendEncoded(server, 'queue://bodies', encoded)
    const [seen] = await receiveOverStomp(server, '/queue/bodies', 1)
    expect(seen?.body).toEqual(content)
  })

  test('what remains of the time to live counts on the broker', async () => {
    const past = BigInt(nowMs / 1000) - 40n
    const source = {
      exchange: '',
      routingKey: 'q',
      body,
      properties: writeProperties({ expiration: '60000', timestamp: past }),
    }
    await sendEncoded(server, 'queue://life', encodeForActivemq(source, rules, nowMs))
    const [seen] = await receiveOverStomp(server, '/queue/life', 1)
    const remaining = Number(seen?.headers.expires) - Date.now()
    expect(remaining).toBeGreaterThan(0)
    expect(remaining).toBeLessThanOrEqual(21_000)
  })
})

describe('without a broker', () => {
  const decoded = (properties: MessageProperties, more: object = {}) => {
    const source = { exchange: '', routingKey: 'q', properties: writeProperties(properties), body }
    return rhea.message.decode(encodeForActivemq(source, { ...rules, ...more }, nowMs)) as unknown as Message
  }

  test('empty texts are kept apart from absent ones', () => {
    const properties = { correlationId: '', type: '', userId: '', contentEncoding: '', contentType: '', replyTo: '' }
    const restored = restoreFromActivemq(decoded(properties), nowMs)
    expect(restored.properties).toEqual(properties)
    expect(restoreFromActivemq(decoded({}), nowMs).properties).toEqual({})
  })

  test('priorities: levels beyond nine share, a queue with levels takes none for the lowest', () => {
    expect(decoded({ priority: 12 }).priority).toBe(9)
    expect(decoded({}).priority).toBeUndefined()
    expect(decoded({}, { maxPriority: 9 }).priority).toBe(0)
    expect([0, 5, 20, 200].map((priority) => decoded({ priority }, { maxPriority: 20 }).priority)).toEqual([0, 2, 9, 9])
    expect(restoreFromActivemq(decoded({ priority: 5 }, { maxPriority: 20 }), nowMs).properties.priority).toBe(5)
  })

  test.each([
    ['no timestamp: the whole time again', { expiration: '5000' }, 5000],
    ['the shorter of message and queue', { expiration: '5000' }, 3000, 3000],
    ['the time waited is taken off', { expiration: '5000', timestamp: BigInt(nowMs / 1000) - 3n }, 3000],
    ['over: at once, by the target’s own rules', { expiration: '5000', timestamp: 1n }, 1],
    ['a timestamp in the future counts for nothing', { expiration: '5000', timestamp: BigInt(nowMs) }, 5000],
  ] as const)('time to live: %s', (_, properties, expected, queueTtlMs?: number) => {
    expect(decoded(properties, { queueTtlMs }).ttl).toBe(expected)
  })

  test('a life beyond what AMQP 1.0 counts becomes a date', () => {
    const { ttl, absolute_expiry_time } = decoded({ expiration: '5000000000' })
    expect(ttl).toBeUndefined()
    expect(Number(absolute_expiry_time)).toBe(nowMs + 5_000_000_000)
  })

  test('what the delivering broker added is left behind', () => {
    const headers: FieldTable = [['x-delivery-count', { type: 'l', value: 2n }]]
    expect(restoreFromActivemq(decoded({ headers }), nowMs).properties).toEqual({})
    expect(readProperties(writeProperties({ headers })).headers).toEqual(headers)
  })
})
