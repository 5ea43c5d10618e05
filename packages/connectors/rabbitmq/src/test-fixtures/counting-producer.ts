import { setTimeout as sleep } from 'node:timers/promises'
import type { TestClient, TestMove } from './broker-rig.ts'

/** Publishes numbers, several under way, and remembers which were confirmed; connects again by itself. */
export class CountingProducer {
  readonly queue: string
  readonly confirmed: number[] = []
  readonly #move: TestMove
  #next = 1
  #isStopped = false

  constructor(move: TestMove, queue: string) {
    this.#move = move
    this.queue = queue
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await using client = await this.#move.connect('old')
        await client.channel.confirmSelect()
        while (!this.#isStopped) await this.#publish(client)
      } catch {
        await sleep(50)
      }
    }
  }

  stop(): void {
    this.#isStopped = true
  }

  async #publish(client: TestClient): Promise<void> {
    const numbers = Array.from({ length: 10 }, () => this.#next++)
    const sent = numbers.map(async (number) => {
      const body = String(number)
      await client.channel.basicPublish('', this.queue, body, { deliveryMode: 2, messageId: body })
      this.confirmed.push(number)
    })
    const results = await Promise.allSettled(sent)
    if (results.some(({ status }) => status === 'rejected')) throw new Error('cut off')
    await sleep(5)
  }
}
