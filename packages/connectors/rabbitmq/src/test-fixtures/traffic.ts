/** The applications: producers that count what was confirmed, consumers that count what they acknowledged. */
import { pollUntil } from '@replatform/testkit/poll-until'
import type { TestClient, TestMove } from './broker-rig.ts'

interface Seen {
  readonly body: number
  /** It came redelivered, or after a cut: a consumer's inbox expects that it may be a repeat. */
  readonly mayRepeat: boolean
}

class QueueTraffic {
  readonly queue: string
  readonly confirmed = new Set<number>()
  readonly seen: Seen[] = []
  next = 1

  constructor(queue: string) {
    this.queue = queue
  }
}

export interface Verdict {
  readonly lost: readonly string[]
  readonly repeatedUnexpectedly: readonly string[]
  readonly disordered: readonly string[]
}

export class Traffic implements AsyncDisposable {
  readonly #move: TestMove
  readonly #queues: readonly QueueTraffic[]
  /** Numbers below were published before the last cut: their acknowledgements may have been lost with it. */
  readonly #unsure = new Map<string, number>()
  readonly #clients: TestClient[] = []
  #running: Promise<unknown>[] = []
  #isStopped = false

  constructor(move: TestMove, queues: readonly string[]) {
    this.#move = move
    this.#queues = queues.map((queue) => new QueueTraffic(queue))
  }

  /** Connects there, publishes and consumes until it is cut off. */
  async runOn(side: 'old' | 'next'): Promise<void> {
    await Promise.all(this.#running)
    await this.#close()
    this.#running = []
    for (const traffic of this.#queues) {
      this.#unsure.set(traffic.queue, traffic.next)
      const [producer, consumer] = [await this.#connect(side), await this.#connect(side)]
      // Whoever is cut off ends with an error: that is what is tried here.
      const untilCutOff = (work: Promise<void>) => this.#running.push(work.catch(() => {}))
      untilCutOff(this.#publish(traffic, producer))
      untilCutOff(this.#consume(traffic, consumer))
    }
  }

  async untilConsumed(more: number): Promise<void> {
    const goals = this.#queues.map((traffic) => traffic.seen.length + more)
    await pollUntil(`${more} more are consumed`, () =>
      this.#queues.every((traffic, index) => traffic.seen.length >= (goals[index] as number)),
    )
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#running)
    await this.#close()
  }

  async consumeRest(side: 'old' | 'next'): Promise<void> {
    for (const traffic of this.#queues) {
      await using client = await this.#connect(side)
      this.#unsure.set(traffic.queue, traffic.next)
      await pollUntil('the rest is consumed', async () => {
        for (const { body, redelivered } of await client.drain(traffic.queue))
          this.#took(traffic, Number(body), redelivered)
        return [...traffic.confirmed].every((number) => traffic.seen.some(({ body }) => body === number))
      }).catch(() => {})
    }
  }

  verdict(): Verdict {
    const lost: string[] = []
    const repeatedUnexpectedly: string[] = []
    const disordered: string[] = []
    for (const { queue, confirmed, seen } of this.#queues) {
      const first = new Set<number>()
      let highest = 0
      for (const { body, mayRepeat } of seen) {
        if (first.has(body) && !mayRepeat) repeatedUnexpectedly.push(`${queue} ${body}`)
        if (!first.has(body) && body < highest && !mayRepeat) disordered.push(`${queue} ${body}`)
        first.add(body)
        highest = Math.max(highest, body)
      }
      for (const number of confirmed) if (!first.has(number)) lost.push(`${queue} ${number}`)
    }
    return { lost, repeatedUnexpectedly, disordered }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#close()
    await Promise.all(this.#running)
  }

  async #connect(side: 'old' | 'next'): Promise<TestClient> {
    const client = await pollUntil('the application gets in', () => this.#move.connect(side))
    this.#clients.push(client)
    return client
  }

  /** A publish that failed may or may not have arrived: the next number is another one. */
  async #publish(traffic: QueueTraffic, client: TestClient): Promise<void> {
    await client.channel.confirmSelect()
    while (!this.#isStopped) {
      const number = traffic.next++
      await client.channel.basicPublish('', traffic.queue, String(number), {
        deliveryMode: 2,
        messageId: String(number),
      })
      traffic.confirmed.add(number)
    }
  }

  async #consume(traffic: QueueTraffic, client: TestClient): Promise<void> {
    await client.channel.basicQos(20)
    const consumer = await client.channel.basicConsume(traffic.queue, { noAck: false }, (message) => {
      this.#took(traffic, Number(message.bodyString()), message.redelivered)
      client.channel.basicAck(message.deliveryTag).catch(() => {})
    })
    consumer.wait().catch(() => {})
  }

  #took(traffic: QueueTraffic, body: number, redelivered: boolean): void {
    const mayRepeat = redelivered || body < (this.#unsure.get(traffic.queue) ?? 0)
    traffic.seen.push({ body, mayRepeat })
  }

  async #close(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client[Symbol.asyncDispose]()
  }
}
