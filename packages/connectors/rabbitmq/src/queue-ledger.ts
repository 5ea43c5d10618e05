/**
 * The ledger as a durable queue on the broker that the messages go to. Every entry holds sums, so the last one of a
 * queue says everything; older ones fall out at the queue's limit, and an entry is written again before it could.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'
import type { AmqpChannel, Delivery } from './amqp-channel.ts'
import type { AmqpConnection } from './amqp-connection.ts'
import { isInUse } from './amqp-error.ts'
import type { Ledger, LedgerEntry } from './brokers.ts'
import { shortText } from './field-table.ts'
import { writeProperties } from './message-properties.ts'

const entriesMost = 4_000
/** Every so many entries, the last one of every queue is written again. */
const repeatEvery = 1_000
/** Others read it within milliseconds. */
const aloneWithinMs = 15_000

/** Exchange and queue have the same name. */
export function ledgerQueue(ownPrefix: string) {
  const body = { durable: true, arguments: { 'x-max-length': entriesMost, 'x-overflow': 'drop-head' } }
  return { name: `${ownPrefix}ledger`, body }
}

export async function openLedger(connection: AmqpConnection, ownPrefix: string): Promise<Ledger> {
  const channel = await connection.openChannel()
  await channel.confirmSelect()
  return new QueueLedger({ connection, channel, name: ledgerQueue(ownPrefix).name })
}

class QueueLedger implements Ledger {
  readonly #connection: AmqpConnection
  readonly #channel: AmqpChannel
  readonly #name: string
  readonly #last = new Map<string, LedgerEntry>()
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>()
  #failure: ReplatformError | null = null
  #published = 0
  #confirmed = 0

  constructor(options: { connection: AmqpConnection; channel: AmqpChannel; name: string }) {
    this.#connection = options.connection
    this.#channel = options.channel
    this.#name = options.name
    this.#channel.listen({
      confirmed: (tag, multiple, isRefused) => this.#settle(tag, multiple, isRefused),
      failed: (error) => this.#fail(error),
    })
  }

  append(entry: LedgerEntry): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    this.#last.set(entry.queue, entry)
    const result = Promise.withResolvers<void>()
    this.#publish(entry, result)
    if (this.#published % repeatEvery === 0) for (const last of this.#last.values()) this.#publish(last, null)
    return result.promise
  }

  async close(): Promise<void> {
    this.#channel.listen({})
    this.#fail(new ReplatformError('connection.lost', { message: 'The ledger was closed.' }))
    await this.#channel.close()
    await this.#connection[Symbol.asyncDispose]()
  }

  #publish(entry: LedgerEntry, result: PromiseWithResolvers<void> | null): void {
    this.#published++
    if (result) this.#waiting.set(this.#published, result)
    this.#channel.publish({
      exchange: shortText(this.#name),
      routingKey: shortText(''),
      mandatory: true,
      properties: writeProperties({ contentType: 'application/json', deliveryMode: 2 }),
      body: Buffer.from(JSON.stringify(entry)),
    })
  }

  #settle(tag: number, multiple: boolean, isRefused: boolean): void {
    if (isRefused) this.#fail(new ReplatformError('target.full', { message: 'The ledger was refused.' }))
    for (let number = multiple ? this.#confirmed + 1 : tag; number <= tag; number++) {
      this.#waiting.get(number)?.resolve()
      this.#waiting.delete(number)
    }
    if (multiple) this.#confirmed = tag
  }

  #fail(error: ReplatformError): void {
    if (this.#failure) return
    this.#failure = error
    for (const result of this.#waiting.values()) result.reject(error)
    this.#waiting.clear()
  }
}

/**
 * Looks at every entry and leaves all of them there. Alone: an entry that another reader holds would not be seen, and
 * the move would seem to begin anew.
 */
export async function readLedger(connection: AmqpConnection, ownPrefix: string): Promise<LedgerEntry[]> {
  const { name } = ledgerQueue(ownPrefix)
  const last = new Map<string, LedgerEntry>()
  const channel = await consumeAlone(connection, name, ({ body }) => {
    const entry = JSON.parse(body.toString()) as LedgerEntry
    if ((last.get(entry.queue)?.carried ?? 0) <= entry.carried) last.set(entry.queue, entry)
  })
  // What was ready is sent to us ahead of the answer to the next question.
  while ((await channel.lookAt(name)).ready > 0) await sleep(1)
  await channel.lookAt(name)
  channel.listen({})
  await channel.close()
  return [...last.values()]
}

async function consumeAlone(
  connection: AmqpConnection,
  queue: string,
  delivery: (delivery: Delivery) => void,
): Promise<AmqpChannel> {
  const deadline = performance.now() + aloneWithinMs
  for (;;) {
    const channel = await connection.openChannel()
    channel.listen({ delivery })
    try {
      await channel.consume(queue, 'replatform', { alone: true })
      return channel
    } catch (thrown) {
      // A refusal has cost its channel.
      if (!isInUse(thrown) || performance.now() > deadline) throw thrown
      await sleep(20)
    }
  }
}
