import type { Outcome } from './journal.ts'
import { LatencyHistogram, type Percentiles } from './load-statistics.ts'

export interface OperationFigures {
  readonly success: number
  readonly refused: number
  readonly unknown: number
  readonly latencyMs: Percentiles
}

/** Counts and latencies by operation. */
export class OperationStatistics {
  readonly #operations = new Map<string, { counts: Record<Outcome, number>; latencies: LatencyHistogram }>()
  /** Answers that contradict earlier ones. */
  differing = 0

  ended(operation: string, outcome: Outcome, tookMs: number): void {
    const one = this.#of(operation)
    one.counts[outcome]++
    if (outcome !== 'unknown') one.latencies.record(tookMs)
  }

  figures(): Record<string, OperationFigures> {
    const all = [...this.#operations].map(([name, { counts, latencies }]) => [
      name,
      { ...counts, latencyMs: latencies.percentilesMs() },
    ])
    return Object.fromEntries(all)
  }

  #of(operation: string) {
    const known = this.#operations.get(operation)
    if (known) return known
    const counts = { success: 0, refused: 0, unknown: 0 }
    const added = { counts, latencies: new LatencyHistogram() }
    this.#operations.set(operation, added)
    return added
  }
}
