/**
 * Requests that have been sent and not answered. Bounded, so that a load against something that never answers does not
 * grow without end: what comes beyond is not sent, and counted, because it makes every latency look better than it was.
 */
export class InFlight {
  readonly #max: number
  readonly #running = new Set<Promise<void>>()
  #notSent = 0

  /** At most `max` at a time: 20 s of 200 a second unless said, which is longer than any write pause. */
  constructor(max = 4000) {
    this.#max = max
  }

  /** What was due and not sent. */
  get notSent(): number {
    return this.#notSent
  }

  /** Begins `send`, which never rejects, unless too many have begun. */
  launch(send: () => Promise<void>): void {
    if (this.#running.size >= this.#max) {
      this.#notSent++
      return
    }
    const running = send().finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when all that was sent has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#running)
  }
}
