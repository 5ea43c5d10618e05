/**
 * Which deliveries may repeat what has crossed already. A broker marks most of them (`redelivered`). One that is killed
 * forgets what it had delivered, and what was acknowledged, in its last moments: it brings that again unmarked, ahead of
 * everything newer. So where the source has begun anew since the last entry of the ledger, as many deliveries as may
 * have been forgotten are in doubt, from the first one on.
 */
import type { LedgerEntry, SourceRun } from './brokers.ts'

/**
 * RabbitMQ writes acknowledgements to its disk several times a second; what it had taken within this long before it was
 * killed may be lost.
 */
const forgottenMs = 2_000
/** Of starts that are reckoned from how long a node has run. */
const toleranceSeconds = 3

export class Repeats {
  readonly #run: SourceRun
  #inDoubt: number
  /** Acknowledgements of the last moments. */
  readonly #acknowledged: { readonly at: number; readonly count: number }[] = []

  /**
   * `before`: the last entry of the queue. `window`: messages that may have been under way. `ready`: what the queue holds
   * now; whatever was forgotten is among it.
   */
  constructor(options: {
    readonly before: Pick<LedgerEntry, 'run' | 'recent' | 'inDoubt'>
    readonly run: SourceRun
    readonly window: number
    readonly ready: number
  }) {
    const { before, run, window, ready } = options
    const forgotten = before.run && hasBegunAnew(before.run, run) ? (before.recent ?? 0) + window : 0
    this.#run = run
    this.#inDoubt = Math.min(ready, forgotten + (before.inDoubt ?? 0))
  }

  /** Deliveries to come that are in doubt. */
  get inDoubt(): number {
    return this.#inDoubt
  }

  /** Call once for each delivery, in their order. */
  mayRepeat({ redelivered }: { readonly redelivered: boolean }): boolean {
    if (this.#inDoubt === 0) return redelivered
    this.#inDoubt--
    return true
  }

  /** What an entry about so many further messages says for the mover that comes next. */
  forNext(count: number): Pick<LedgerEntry, 'run' | 'recent' | 'inDoubt'> {
    const now = performance.now()
    this.#acknowledged.push({ at: now, count })
    while (now - (this.#acknowledged[0]?.at ?? now) > forgottenMs) this.#acknowledged.shift()
    const recent = this.#acknowledged.reduce((sum, one) => sum + one.count, 0)
    return { run: this.#run, recent, ...(this.#inDoubt > 0 ? { inDoubt: this.#inDoubt } : {}) }
  }
}

/** A node that left counts as well: who took its queues over may know less. */
export function hasBegunAnew(before: SourceRun, now: SourceRun): boolean {
  return Object.entries(before).some(([node, at]) => {
    const started = now[node]
    return started === undefined || started > at + toleranceSeconds
  })
}
