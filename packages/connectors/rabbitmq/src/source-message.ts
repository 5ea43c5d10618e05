/**
 * A message as it was read from AMQP 0-9-1, every byte of it kept. What the properties mean is decoded only where
 * somebody asks (`readProperties`): like for like they are forwarded as they are.
 */
import type { FieldTable } from './field-table.ts'

export interface SourceMessage {
  /** The queue that it was read from. */
  readonly queue: string
  /** Rises by one from 1 on within one reading of a queue; names the message towards its source only. */
  readonly deliveryTag: number
  /** It was delivered to somebody before: a repeat is possible that nobody of us made. */
  readonly redelivered: boolean
  /** The exchange that the producer named; empty for the default exchange. */
  readonly exchange: string
  readonly routingKey: string
  /** Property flags and property list, as in the content header of AMQP 0-9-1 (section 4.2.6.1). */
  readonly properties: Buffer
  readonly body: Buffer
  /** Of properties and body together, where known without cutting them out. */
  readonly bytes?: number
}

/** The properties of AMQP 0-9-1; absent is not the same as empty. */
export interface MessageProperties {
  readonly contentType?: string
  readonly contentEncoding?: string
  readonly headers?: FieldTable
  /** 2: to be kept on disk. */
  readonly deliveryMode?: number
  readonly priority?: number
  readonly correlationId?: string
  readonly replyTo?: string
  /** Time to live in milliseconds, as decimal text. Waiting does not reduce it. */
  readonly expiration?: string
  readonly messageId?: string
  /** Seconds since 1970, by the producer. */
  readonly timestamp?: bigint
  readonly type?: string
  readonly userId?: string
  readonly appId?: string
  readonly clusterId?: string
}
