/** What is left of a message's time to live. RabbitMQ never reduces `expiration`, however long the message waited. */
import type { MessageProperties } from '@replatform/connector-rabbitmq/source-message'

export interface LifeOptions {
  readonly properties: Pick<MessageProperties, 'expiration' | 'timestamp'>
  /** Of the queue that it waited in (`x-message-ttl`), where it has one: RabbitMQ takes the shorter. */
  readonly queueTtlMs?: number | undefined
  readonly nowMs: number
}

/**
 * Milliseconds that remain; undefined for one that does not expire; 1 when the time is over, so that the target's own
 * rules for expired messages apply. The time waited is known only from the producer's timestamp (whole seconds): without
 * one, or with one that lies in the future, the whole time counts again, which keeps a message too long, never too short.
 */
export function remainingMs({ properties, queueTtlMs, nowMs }: LifeOptions): number | undefined {
  const own = properties.expiration === undefined ? undefined : Number.parseInt(properties.expiration, 10)
  const whole = smallest(own, queueTtlMs)
  if (whole === undefined) return undefined
  if (properties.timestamp === undefined) return Math.max(whole, 1)
  // The producer's second may have been over by up to a second: never expire early.
  const waited = Math.max(nowMs - (Number(properties.timestamp) + 1) * 1000, 0)
  return Math.max(whole - waited, 1)
}

function smallest(a: number | undefined, b: number | undefined): number | undefined {
  const known = [a, b].filter((value): value is number => value !== undefined && Number.isFinite(value))
  return known.length === 0 ? undefined : Math.min(...known)
}
