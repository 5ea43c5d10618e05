import { type Clock, systemClock } from './clock.ts'

/** A bucket of one second's worth of bytes that load and follow draw from together. */
export class Throttle {
  readonly #clock: Clock
  #bytesPerSecond: number | null = null
  #isHeld = false
  #available = 0
  #filledAt = 0
  #changed = Promise.withResolvers<void>()

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** Null lifts the limit; 0 stands still until the next call. Those who wait look again at once. */
  limit(bytesPerSecond: number | null): void {
    this.#bytesPerSecond = bytesPerSecond
    this.#available = 0
    this.#filledAt = this.#clock.now()
    this.#wake()
  }

  /** Stands still beside any limit, for as long as it is true. */
  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return
    this.#isHeld = isHeld
    this.#wake()
  }

  /** Books bytes that were written, and waits for as long as they were too many. Resolves early on abort. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    this.#available -= bytes
    while (!signal.aborted && (this.#isHeld || !this.#refill())) {
      const wake = new AbortController()
      const rate = this.#isHeld ? 0 : (this.#bytesPerSecond ?? 0)
      const shortMs = rate === 0 ? 1_000 : (-this.#available / rate) * 1_000
      const sleep = this.#clock.sleep(Math.min(shortMs, 1_000), AbortSignal.any([signal, wake.signal])).catch(() => {})
      await Promise.race([sleep, this.#changed.promise])
      wake.abort()
    }
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  #refill(): boolean {
    if (this.#bytesPerSecond === null) return true
    const rate = this.#bytesPerSecond
    const now = this.#clock.now()
    this.#available = Math.min(this.#available + ((now - this.#filledAt) / 1_000) * rate, rate)
    this.#filledAt = now
    return rate > 0 && this.#available >= 0
  }
}
