/**
 * The way back: a message of ActiveMQ as RabbitMQ had it. What `encodeForActivemq` carried comes back with every type
 * and property it had; what others sent since comes back by the same rules, as far as AMQP 0-9-1 can say it.
 */
import { type FieldTable, type FieldValue, longText } from '@replatform/connector-rabbitmq/field-table'
import type { MessageProperties } from '@replatform/connector-rabbitmq/source-message'
import type { Message } from 'rhea'
import { readExactHeaders } from './exact-headers.ts'
import { exactHeadersProperty } from './property-mapping.ts'

export interface RestoredMessage {
  /** Of the message as it was first published; empty where it came from a producer of the target. */
  readonly exchange: string
  readonly routingKey: string
  readonly properties: MessageProperties
  readonly body: Buffer
}

/** Pure. `nowMs` is what the rest of its life counts from. */
export function restoreFromActivemq(message: Message, nowMs: number): RestoredMessage {
  const carried = (message.application_properties ?? {}) as Readonly<Record<string, unknown>>
  const headers = restoreHeaders(carried)
  return {
    exchange: textIn(carried, 'amqp_exchange') ?? '',
    routingKey: textIn(carried, 'amqp_routing_key') ?? '',
    properties: { ...restoreProperties(message, carried, nowMs), ...(headers.length === 0 ? {} : { headers }) },
    body: bodyBytes(message.body),
  }
}

function restoreProperties(
  message: Message,
  carried: Readonly<Record<string, unknown>>,
  nowMs: number,
): MessageProperties {
  const own = (name: string) => textIn(carried, `amqp_${name}`)
  const all = {
    contentType: own('content_type') ?? textOr(message.content_type),
    contentEncoding: own('content_encoding') ?? textOr(message.content_encoding),
    deliveryMode: numberOr(carried.amqp_delivery_mode, message.durable ? 2 : 1),
    priority: numberOr(carried.amqp_priority, message.priority),
    correlationId: own('correlation_id') ?? textOr(message.correlation_id),
    replyTo: own('reply_to') ?? textOr(message.reply_to)?.replace(/^(queue|topic):\/\//, ''),
    expiration: own('expiration') === undefined && message.ttl === undefined ? undefined : restOfLife(message, nowMs),
    messageId: own('message_id'),
    timestamp: own('timestamp') ?? momentOf(message.creation_time),
    type: own('type') ?? textOr(message.subject),
    userId: own('user_id') ?? textOr(message.user_id),
    appId: own('app_id'),
    clusterId: own('cluster_id'),
  }
  const { timestamp, ...others } = all
  return defined({ ...others, timestamp: timestamp === undefined ? undefined : BigInt(timestamp) })
}

/** What remains of the time to live is the new whole: RabbitMQ begins to count anew. */
function restOfLife(message: Message, nowMs: number): string | undefined {
  const expiry = message.absolute_expiry_time
  if (expiry !== undefined) return String(Math.max(Number(expiry) - nowMs, 1))
  return message.ttl === undefined ? undefined : String(message.ttl)
}

function restoreHeaders(carried: Readonly<Record<string, unknown>>): FieldTable {
  const exact = readExactHeaders(textIn(carried, exactHeadersProperty) ?? '[]')
  const names = new Set(exact.map(([name]) => name))
  const plain = Object.entries(carried).filter(([name]) => !name.startsWith('amqp_') && !names.has(name))
  return [...plain.map(([name, value]) => [name, fieldOf(value)] as const), ...exact]
}

function fieldOf(value: unknown): FieldValue {
  if (value === null || value === undefined) return { type: 'V', value: null }
  if (typeof value === 'boolean') return { type: 't', value }
  if (typeof value === 'number') return numberField(value)
  if (Buffer.isBuffer(value) && value.length === 8) return { type: 'l', value: value.readBigInt64BE() }
  return longText(String(value))
}

function numberField(value: number): FieldValue {
  if (!Number.isInteger(value)) return { type: 'd', value }
  if (value >= -(2 ** 31) && value < 2 ** 31) return { type: 'I', value }
  return { type: 'l', value: BigInt(value) }
}

/** Of a data section its bytes; of a text its UTF-8; of anything else JSON. */
function bodyBytes(body: unknown): Buffer {
  if (body === undefined || body === null) return Buffer.alloc(0)
  if (Buffer.isBuffer(body)) return body
  if (typeof body === 'string') return Buffer.from(body, 'utf8')
  const content = (body as { readonly content?: unknown }).content
  if (Buffer.isBuffer(content)) return content
  if (Array.isArray(content) && content.every((part) => Buffer.isBuffer(part))) return Buffer.concat(content)
  return Buffer.from(JSON.stringify(content ?? body), 'utf8')
}

function textIn(carried: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = carried[name]
  return typeof value === 'string' ? value : undefined
}

function textOr(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value)
}

/** -1 stands for a property that was not there. */
function numberOr(carried: unknown, otherwise: number | undefined): number | undefined {
  if (typeof carried !== 'number') return otherwise
  return carried === -1 ? undefined : carried
}

function momentOf(time: Date | number | undefined): string | undefined {
  return time === undefined ? undefined : String(Math.floor(Number(time) / 1000))
}

function defined(all: Record<string, unknown>): MessageProperties {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as MessageProperties
}
