/**
 * A message of RabbitMQ as one of AMQP 1.0 that ActiveMQ keeps whole for consumers of AMQP 1.0, STOMP and JMS. What was
 * seen to break on the real broker decides: no message id (STOMP consumers that acknowledge one by one would get it for
 * ever), no empty text among the properties, no timestamp among the application properties.
 */
import { readProperties } from '@replatform/connector-rabbitmq/message-properties'
import type { MessageProperties, SourceMessage } from '@replatform/connector-rabbitmq/source-message'
import rhea from 'rhea'
import { mapHeaders, type Property, wrapLong } from './property-mapping.ts'
import { mayBeDeclared, opaqueContentType } from './text-body.ts'
import { remainingMs } from './time-to-live.ts'

const { message: codec } = rhea

/** What the plan says of the queue that messages come from. */
export interface QueueRules {
  /** `x-max-priority` of the source; undefined where it keeps no priorities. */
  readonly maxPriority?: number | undefined
  readonly queueTtlMs?: number | undefined
  /** Address on the target for a queue that replies were expected in. */
  readonly replyAddress: (replyTo: string) => string | undefined
}

type Carried = Pick<SourceMessage, 'exchange' | 'routingKey' | 'properties' | 'body'>

/** The encoded message (format 0). Pure but for `nowMs`, from which the time to live counts. */
export function encodeForActivemq(source: Carried, rules: QueueRules, nowMs: number): Buffer {
  const properties = readProperties(source.properties)
  const life = remainingMs({ properties, queueTtlMs: rules.queueTtlMs, nowMs })
  return codec.encode({
    durable: properties.deliveryMode === 2,
    ...optional('priority', mapPriority(properties.priority, rules.maxPriority)),
    ...(life === undefined ? {} : mapLife(life, nowMs)),
    ...standardProperties(properties, source.body, rules),
    application_properties: applicationProperties(source, properties, rules),
    body: codec.data_section(source.body),
  })
}

/** Of JMS: 0 to 9. Where the source keeps more levels, neighbours share one. */
function mapPriority(priority: number | undefined, maxPriority: number | undefined): number | undefined {
  if (maxPriority === undefined) return priority === undefined ? undefined : Math.min(priority, 9)
  // RabbitMQ takes what has none for the lowest, ActiveMQ for the middle.
  const level = Math.min(priority ?? 0, maxPriority)
  return maxPriority <= 9 ? level : Math.floor((level * 9) / maxPriority)
}

const longestTtl = 0xffff_ffff

function mapLife(lifeMs: number, nowMs: number): object {
  return lifeMs <= longestTtl ? { ttl: lifeMs } : { absolute_expiry_time: new Date(nowMs + lifeMs) }
}

function standardProperties(properties: MessageProperties, body: Buffer, rules: QueueRules): object {
  const { contentType, contentEncoding, correlationId, type, userId, replyTo, timestamp } = properties
  return {
    ...(contentType ? { content_type: declared(contentType, body) } : {}),
    ...(contentEncoding && isSymbol(contentEncoding) ? { content_encoding: contentEncoding } : {}),
    ...(correlationId ? { correlation_id: correlationId } : {}),
    ...(type ? { subject: type } : {}),
    ...(userId ? { user_id: Buffer.from(userId, 'utf8') } : {}),
    ...(replyTo ? optional('reply_to', rules.replyAddress(replyTo)) : {}),
    ...(timestamp !== undefined && isMoment(timestamp) ? { creation_time: new Date(Number(timestamp) * 1000) } : {}),
  }
}

function declared(contentType: string, body: Buffer): string {
  return mayBeDeclared(contentType, body) ? contentType : opaqueContentType
}

/** Under `amqp_…`: what has no property of its own on the target, and what would not come back from it. */
function applicationProperties(
  { exchange, routingKey, body }: Carried,
  properties: MessageProperties,
  { maxPriority }: QueueRules,
): Record<string, Property> {
  const { contentType, contentEncoding, correlationId, type, userId, replyTo, timestamp, priority } = properties
  const { messageId, expiration, appId, clusterId, deliveryMode, headers } = properties
  const kept: Record<string, Property | undefined> = {
    amqp_exchange: exchange,
    amqp_routing_key: routingKey,
    amqp_message_id: messageId,
    amqp_app_id: appId,
    amqp_cluster_id: clusterId,
    amqp_expiration: expiration,
    amqp_reply_to: replyTo,
    amqp_content_type:
      contentType !== undefined && declared(contentType, body) !== contentType ? contentType : undefined,
    amqp_content_encoding: contentEncoding !== undefined && !isSymbol(contentEncoding) ? contentEncoding : undefined,
    amqp_correlation_id: correlationId === '' ? '' : undefined,
    amqp_type: type === '' ? '' : undefined,
    amqp_user_id: userId === '' ? '' : undefined,
    amqp_timestamp: timestamp !== undefined && !isMoment(timestamp) ? String(timestamp) : undefined,
    amqp_priority: mapPriority(priority, maxPriority) === priority ? undefined : wrapLong(BigInt(priority ?? -1)),
    amqp_delivery_mode: deliveryMode === 1 || deliveryMode === 2 ? undefined : wrapLong(BigInt(deliveryMode ?? -1)),
  }
  return { ...(headers ? mapHeaders(headers) : {}), ...defined(kept) }
}

/** Within what a date of JavaScript and of Java can say. */
function isMoment(seconds: bigint): boolean {
  return seconds <= 8_640_000_000_000n
}

function isSymbol(text: string): boolean {
  return /^[\x21-\x7e][\x20-\x7e]*$/.test(text)
}

function optional(name: string, value: unknown): object {
  return value === undefined ? {} : { [name]: value }
}

function defined(all: Record<string, Property | undefined>): Record<string, Property> {
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, Property] => entry[1] !== undefined))
}
