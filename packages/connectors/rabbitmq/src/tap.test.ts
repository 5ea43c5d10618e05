import { expect, test } from 'vitest'
import type { Delivery } from './amqp-channel.ts'
import { longText, shortText } from './field-table.ts'
import { forwardedProperties } from './forwarded-properties.ts'
import { readProperties, writeProperties } from './message-properties.ts'
import { DeliveredMessage } from './read-message.ts'
import type { MessageProperties } from './source-message.ts'
import { Tap } from './tap.ts'

const exchange = 'copies'

function delivery(body: string, given: MessageProperties | Buffer, from = 'events'): Delivery {
  const properties = Buffer.isBuffer(given) ? given : writeProperties(given)
  return {
    consumerTag: 'c',
    deliveryTag: 1,
    redelivered: false,
    routing: Buffer.concat([shortText(from), shortText('transfer.done')]),
    properties,
    propertyFlags: properties.readUInt16BE(0),
    body: Buffer.from(body),
    bytes: properties.length + body.length,
  }
}

function compare(sent: readonly Delivery[], copies: readonly Delivery[]) {
  const tap = new Tap()
  for (const one of sent) tap.expect(exchange, new DeliveredMessage('q', one))
  for (const copy of copies) {
    const { exchange: place, routingKey, body } = new DeliveredMessage('q', copy)
    tap.take(place, { routingKey, properties: readProperties(copy.properties), body }, 'q')
  }
  return { ...tap.results.get('q'), waiting: tap.waiting }
}

const properties: MessageProperties = {
  messageId: 'm',
  expiration: '60000',
  timestamp: 70n,
  headers: [
    ['a', longText('b')],
    ['x-delivery-count', { type: 'l', value: 2n }],
  ],
}

test('what is forwarded is the same; a body, a key, a header or a type that changed is not', () => {
  const sent = [delivery('one', properties)]
  const forwarded = forwardedProperties(writeProperties(properties), 100_000)
  const good = delivery('one', forwarded, exchange)
  expect(compare(sent, [good])).toEqual({ compared: 1, mismatched: 0, waiting: 0 })
  const bad: Delivery[] = [
    delivery('two', forwarded, exchange),
    { ...good, routing: Buffer.concat([shortText(exchange), shortText('transfer')]) },
    delivery('one', { ...properties, headers: [] }, exchange),
    delivery('one', { ...properties, headers: [['a', { type: 'x', value: Buffer.from('b') }]] }, exchange),
    delivery('one', { ...properties, headers: [['a', longText('b')]], expiration: '60001' }, exchange),
    delivery('one', { ...properties, headers: [['a', longText('b')]], messageId: 'n' }, exchange),
  ]
  for (const copy of bad) expect(compare(sent, [copy])).toEqual({ compared: 1, mismatched: 1, waiting: 0 })
})

test('a copy that lapsed is passed over, one that nobody expects says nothing', () => {
  const sent = ['one', 'two', 'three'].map((body) => delivery(body, {}))
  const copies = ['two', 'three'].map((body) => delivery(body, {}, exchange))
  expect(compare(sent, copies)).toEqual({ compared: 2, mismatched: 0, waiting: 0 })
  expect(compare(sent.slice(0, 1), [delivery('one', {}, 'elsewhere')])).toEqual({ waiting: 1 })
})

test('what waits is bounded', () => {
  const tap = new Tap()
  const large = new DeliveredMessage('q', { ...delivery('', {}), body: Buffer.alloc(3 * 1024 * 1024) })
  tap.expect(exchange, large)
  expect(tap.hasRoom).toBe(true)
  tap.expect(exchange, large)
  expect(tap.hasRoom).toBe(false)
  tap.forget(exchange)
  expect(tap.hasRoom).toBe(true)
})
