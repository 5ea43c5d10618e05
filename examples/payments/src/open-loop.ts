import { setTimeout as delay } from 'node:timers/promises'

export interface Pace {
  /** A second, on average. */
  readonly rate: number
  /** A clock that never jumps. */
  readonly nowMs: () => number
  readonly signal: AbortSignal
  readonly bursts?: Bursts | undefined
}

/** For `lastMs` at the beginning of every `everyMs`, `factor` times as much is due as otherwise. */
export interface Bursts {
  readonly everyMs: number
  readonly lastMs: number
  readonly factor: number
}

/**
 * The moments at which something is due, each given when it has come: fixed beforehand, and independent of what became
 * of those before. A caller that is held up gets what is overdue at once, with the time at which it was due.
 */
export async function* dueTimes({ rate, nowMs, signal, bursts }: Pace): AsyncGenerator<number> {
  const beganMs = nowMs()
  for (let n = 0; !signal.aborted; n++) {
    const dueMs = beganMs + (bursts ? offsetInBursts(n, rate, bursts) : (n * 1000) / rate)
    while (dueMs > nowMs() && !signal.aborted) await sleep(dueMs - nowMs(), signal)
    if (!signal.aborted) yield dueMs
  }
}

/** When the nth is due, so that each period has as many as it would have without bursts. */
export function offsetInBursts(n: number, rate: number, { everyMs, lastMs, factor }: Bursts): number {
  const perPeriod = (rate * everyMs) / 1000
  const quietPerMs = perPeriod / (everyMs + (factor - 1) * lastMs)
  const inBurst = quietPerMs * factor * lastMs
  const period = Math.floor(n / perPeriod)
  const k = n - period * perPeriod
  const within = k < inBurst ? k / (quietPerMs * factor) : lastMs + (k - inBurst) / quietPerMs
  return period * everyMs + within
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(Math.max(1, ms), undefined, { signal }).catch(() => undefined)
}
