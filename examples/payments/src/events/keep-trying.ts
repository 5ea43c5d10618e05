import { setTimeout as delay } from 'node:timers/promises'

export interface Persistence {
  readonly signal: AbortSignal
  readonly onFailure: (error: unknown) => void
}

/** Repeats work that ends only by failing, a little later each time it fails at once, until the signal. */
export async function keepTrying(work: () => Promise<void>, { signal, onFailure }: Persistence): Promise<void> {
  let failures = 0
  while (!signal.aborted) {
    const beganMs = performance.now()
    try {
      await work()
    } catch (error) {
      if (signal.aborted) return
      onFailure(error)
      failures = performance.now() - beganMs > 5000 ? 0 : failures + 1
      await delay(Math.min(50 * 2 ** failures, 2000), undefined, { signal }).catch(() => undefined)
    }
  }
}
