import { setTimeout as delay } from 'node:timers/promises'

/** Time as the engine sees it, so that tests and simulations can hold it in their hands. */
export interface Clock {
  /** Milliseconds that only grow; for durations. */
  now(): number
  /** Milliseconds since 1970; for records that people read. */
  wallTime(): number
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** `elapsed` resolves after the time, unless it was cancelled; it never rejects. */
  timer(ms: number): { readonly elapsed: Promise<void>; cancel(): void }
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  sleep: async (ms, signal) => void (await delay(ms, undefined, signal ? { signal } : {})),
  timer: (ms) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timeout = setTimeout(resolve, Math.max(ms, 0))
    return { elapsed: promise, cancel: () => clearTimeout(timeout) }
  },
}
