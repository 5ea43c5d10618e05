/**
 * A copy of every so many-th message, made by the target itself: it arrives in the queue and in one of our own, from where
 * it is read back and held against what the source had delivered. So it is tried what the target stored, and not
 * what was meant to be sent.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Delivery } from './amqp-channel.ts'
import { readShortText } from './amqp-wire.ts'
import type { TapResult } from './brokers.ts'
import { readProperties } from './message-properties.ts'
import type { MessageProperties, SourceMessage } from './source-message.ts'

/** Copies that are under way; beyond that no more are made. */
const waitingMost = 500
const waitingBytesMost = 4 * 1024 * 1024
/** A copy may have lapsed by its time to live: so many further ones are looked through for the next. */
const lookAhead = 50

export class Tap {
  /** By the exchange that copies. */
  readonly #waiting = new Map<string, SourceMessage[]>()
  readonly #results = new Map<string, { compared: number; mismatched: number }>()
  #count = 0
  #bytes = 0

  get waiting(): number {
    return this.#count
  }

  get results(): ReadonlyMap<string, TapResult> {
    return this.#results
  }

  /** Whether there is room to expect one more. */
  get hasRoom(): boolean {
    return this.#count < waitingMost && this.#bytes < waitingBytesMost
  }

  expect(exchange: string, message: SourceMessage): void {
    const waiting = this.#waiting.get(exchange) ?? []
    this.#waiting.set(exchange, waiting)
    waiting.push(message)
    this.#count++
    this.#bytes += message.body.length
  }

  /** `name`: the queue as the plan calls it. A copy that nobody expects is of an earlier mover. */
  take(copy: Delivery, name: string): void {
    const waiting = this.#waiting.get(readShortText(copy.routing, 0).text) ?? []
    if (waiting.length === 0) return
    const found = waiting.slice(0, lookAhead).findIndex((message) => isSame(message, copy))
    const result = this.#results.get(name) ?? { compared: 0, mismatched: 0 }
    this.#results.set(name, result)
    result.compared++
    if (found < 0) result.mismatched++
    for (const message of waiting.splice(0, Math.max(found, 0) + 1)) {
      this.#count--
      this.#bytes -= message.body.length
    }
  }

  /** Of a sink that has ended: what it had sent may never have arrived. */
  forget(exchange: string): void {
    for (const message of this.#waiting.get(exchange) ?? []) {
      this.#count--
      this.#bytes -= message.body.length
    }
    this.#waiting.delete(exchange)
  }
}

function isSame(message: SourceMessage, copy: Delivery): boolean {
  const { end } = readShortText(copy.routing, 0)
  return (
    message.body.equals(copy.body) &&
    readShortText(copy.routing, end).text === message.routingKey &&
    haveSame(readProperties(message.properties), readProperties(copy.properties))
  )
}

/** The two differences that are meant: the source's count of deliveries, and a time to live that has become less. */
function haveSame(source: MessageProperties, copy: MessageProperties): boolean {
  const expected = {
    ...source,
    ...(source.headers && { headers: source.headers.filter(([name]) => name !== 'x-delivery-count') }),
    ...(Number(copy.expiration) <= Number(source.expiration) && { expiration: copy.expiration }),
  }
  return isDeepStrictEqual(expected, copy)
}
