import { setTimeout as sleep } from 'node:timers/promises'
import { parseBrokerAddress } from '../address.ts'
import { openAmqp } from '../amqp-connection.ts'
import { shortText } from '../field-table.ts'
import { writeProperties } from '../message-properties.ts'

const unconfirmedMost = 2_000

export interface CountingProducerOptions {
  /** Of the broker, as an application. */
  readonly url: string
  readonly queue: string
  readonly perSecond: number
  /** Where the target cannot bear the rate. */
  readonly isHeld?: () => boolean
}

/**
 * Publishes numbers at a steady rate, many under way, and remembers which were confirmed; connects again by itself. A
 * number that it is not sure of is never published again. On our own connection: the library that the other tests use
 * leaves promises behind that nobody can catch when its socket breaks under load.
 */
export class CountingProducer {
  readonly queue: string
  readonly confirmed: number[] = []
  readonly #options: CountingProducerOptions
  #next = 1
  #isStopped = false

  constructor(options: CountingProducerOptions) {
    this.#options = options
    this.queue = options.queue
  }

  /** Numbers below were given to a connection already. */
  get next(): number {
    return this.#next
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#publish()
      } catch {
        await sleep(50)
      }
    }
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Until it is stopped or cut off; when it is stopped, until everything is confirmed. */
  async #publish(): Promise<void> {
    const { url, queue, perSecond, isHeld = () => false } = this.#options
    await using connection = await openAmqp({ address: parseBrokerAddress(url), side: 'source', name: 'counts' })
    const channel = await connection.openChannel()
    await channel.confirmSelect()
    const [exchange, routingKey] = [shortText(''), shortText(queue)]
    const before = this.#next - 1
    const unconfirmed = new Set<number>()
    let failure: Error | null = null
    channel.listen({
      confirmed: (tag, multiple, isRefused) => {
        const settled = multiple ? [...unconfirmed].filter((number) => number <= before + tag) : [before + tag]
        for (const number of settled) if (unconfirmed.delete(number) && !isRefused) this.confirmed.push(number)
      },
      failed: (error) => {
        failure = error
      },
    })
    let due = 0
    let lookedAt = performance.now()
    while (!failure && !(this.#isStopped && unconfirmed.size === 0)) {
      const now = performance.now()
      // What was missed while the machine was busy is not caught up at once.
      due = Math.min(due + ((now - lookedAt) * perSecond) / 1_000, perSecond / 5)
      lookedAt = now
      for (; due >= 1 && unconfirmed.size < unconfirmedMost && !this.#isStopped && !isHeld(); due--) {
        const number = this.#next++
        unconfirmed.add(number)
        const properties = writeProperties({ deliveryMode: 2, messageId: `${queue}-${number}` })
        channel.publish({ exchange, routingKey, mandatory: true, properties, body: Buffer.from(String(number)) })
      }
      await sleep(5)
    }
    if (failure) throw failure
  }
}
