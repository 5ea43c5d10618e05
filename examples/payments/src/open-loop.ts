import { setTimeout as delay } from 'node:timers/promises'

export interface Pace {
  /** A second. */
  readonly rate: number
  /** A clock that never jumps. */
  readonly nowMs: () => number
  readonly signal: AbortSignal
}

/**
 * The moments at which something is due, each given when it has come: evenly spaced, and independent of what became of
 * those before. A caller that is held up gets what is overdue at once, with the time at which it was due.
 */
export async function* dueTimes({ rate, nowMs, signal }: Pace): AsyncGenerator<number> {
  const beganMs = nowMs()
  for (let n = 0; !signal.aborted; n++) {
    const dueMs = beganMs + (n * 1000) / rate
    while (dueMs > nowMs() && !signal.aborted) await sleep(dueMs - nowMs(), signal)
    if (!signal.aborted) yield dueMs
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(Math.max(1, ms), undefined, { signal }).catch(() => undefined)
}
