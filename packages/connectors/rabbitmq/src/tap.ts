/**
 * A copy of every so many-th message, made by the target itself: it arrives in the queue and in one of our own, from where
 * it is read back and held against what the source had delivered. So it is tried what the target stored, and not
 * what was meant to be sent.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { TapResult } from './brokers.ts'
import type { FieldTable } from './field-table.ts'
import { readProperties } from './message-properties.ts'
import type { MessageProperties, SourceMessage } from './source-message.ts'

/** A message as the target stored it, in the terms of the source. */
export interface Copy {
  readonly routingKey: string
  readonly properties: MessageProperties
  readonly body: Buffer
  /** The target gives every message of the queue a time to live of its own. */
  readonly hasOtherLife?: boolean
}

/** Copies that are under way; beyond that no more are made. */
const waitingMost = 500
const waitingBytesMost = 4 * 1024 * 1024
/** A copy may have lapsed by its time to live: so many further ones are looked through for the next. */
const lookAhead = 50

export class Tap {
  /** By the place that copies. */
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

  expect(place: string, message: SourceMessage): void {
    const waiting = this.#waiting.get(place) ?? []
    this.#waiting.set(place, waiting)
    waiting.push(message)
    this.#count++
    this.#bytes += message.body.length
  }

  /** `name`: the queue as the plan calls it. A copy that nobody expects is of an earlier mover. */
  take(place: string, copy: Copy, name: string): void {
    const waiting = this.#waiting.get(place) ?? []
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

  /** Until no copy is under way any more, or the time is over. */
  async settle(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    while (this.waiting > 0 && performance.now() < deadline) await sleep(5)
  }

  /** Of a sink that has ended: what it had sent may never have arrived. */
  forget(place: string): void {
    for (const message of this.#waiting.get(place) ?? []) {
      this.#count--
      this.#bytes -= message.body.length
    }
    this.#waiting.delete(place)
  }
}

function isSame(message: SourceMessage, copy: Copy): boolean {
  return (
    message.body.equals(copy.body) &&
    copy.routingKey === message.routingKey &&
    haveSame(readProperties(message.properties), copy)
  )
}

/** Two differences are meant: what a broker counts of deliveries, and a time to live that has become less. */
function haveSame(source: MessageProperties, { properties, hasOtherLife }: Copy): boolean {
  const isLess = hasOtherLife || Number(properties.expiration) <= Number(source.expiration)
  const expected = { ...source, ...(isLess && { expiration: properties.expiration }) }
  return isDeepStrictEqual(comparable(expected), comparable(properties))
}

const counted: ReadonlySet<string> = new Set(['x-delivery-count', 'x-acquired-count'])

/** A table without headers says as much as none; their order says nothing. */
function comparable({ headers = [], ...others }: MessageProperties): object {
  const table: FieldTable = headers.filter(([name]) => !counted.has(name))
  return { ...defined(others), headers: new Map(table) }
}

function defined(properties: MessageProperties): object {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined))
}
