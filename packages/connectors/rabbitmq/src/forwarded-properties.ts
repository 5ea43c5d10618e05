/**
 * The properties of a message as they must be on the other broker. All bytes stay, except two things that would lie
 * there: how often the source's queue had delivered it, and a time to live that began to run on the source.
 */

import { fieldNames, removeField } from './field-table.ts'
import { expirationFlag, findPropertyBytes, headersFlag, replaceProperties } from './message-properties.ts'

/** Kept by quorum queues, and counted anew by the next one. */
const deliveryCount = 'x-delivery-count'

/** Whether `forwardedProperties` may have something to change, by the flags alone. */
export function mayChange(propertyFlags: number): boolean {
  return (propertyFlags & (headersFlag | expirationFlag)) !== 0
}

export function forwardedProperties(properties: Buffer, nowMs: number): Buffer {
  if (!mayChange(properties.readUInt16BE(0))) return properties
  const { headers, expiration, timestamp } = findPropertyBytes(properties)
  const changes: { headers?: Buffer; expiration?: Buffer } = {}
  if (headers && fieldNames(headers).includes(deliveryCount)) changes.headers = removeField(headers, deliveryCount)
  const left = expiration && remainingMs(expiration, timestamp, nowMs)
  if (left !== undefined) changes.expiration = left
  return changes.headers || changes.expiration ? replaceProperties(properties, changes) : properties
}

/**
 * `expiration` counts from the arrival in a queue, and no message says when that was. The producer's timestamp (whole
 * seconds) is taken for it where it is believable: the source has not let the message lapse, so it cannot have waited
 * longer than it may live. Undefined: unchanged.
 */
function remainingMs(expiration: Buffer, timestamp: Buffer | undefined, nowMs: number): Buffer | undefined {
  if (!timestamp) return undefined
  const lifeMs = Number(expiration.toString('latin1', 1))
  const waitedMs = nowMs - Number(timestamp.readBigUInt64BE(0)) * 1_000
  if (!Number.isInteger(lifeMs) || waitedMs <= 0 || waitedMs >= lifeMs) return undefined
  const text = String(Math.max(1, Math.round(lifeMs - waitedMs)))
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, 'latin1')])
}
