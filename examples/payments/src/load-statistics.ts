import { build, type Histogram } from 'hdr-histogram-js'
import type { Outcome } from './journal.ts'

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Latencies of payments, kept in microseconds to three digits, told in milliseconds. */
export class LatencyHistogram {
  readonly #histogram: Histogram = build({ highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: 3 })

  record(ms: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(ms * 1000)))
  }

  percentilesMs(): Percentiles {
    const at = (percentile: number) => toMs(this.#histogram.getValueAtPercentile(percentile))
    return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: toMs(this.#histogram.maxValue) }
  }

  reset(): void {
    this.#histogram.reset()
  }
}

/** Counts of a load run, and the longest time in which no payment was acknowledged. */
export class LoadStatistics {
  readonly all = new LatencyHistogram()
  readonly recent = new LatencyHistogram()
  readonly counts: Record<Outcome, number> = { success: 0, refused: 0, unknown: 0 }
  sent = 0
  differing = 0
  #lastAcknowledgedMs: number | undefined
  #longestGapMs = 0

  ended(outcome: Outcome, nowMs: number, tookMs: number): void {
    this.counts[outcome]++
    if (outcome === 'success') this.#acknowledged(nowMs)
    if (outcome === 'unknown') return
    this.all.record(tookMs)
    this.recent.record(tookMs)
  }

  settled(outcome: Outcome): void {
    this.counts.unknown--
    this.counts[outcome]++
  }

  get inFlight(): number {
    return this.sent - this.counts.success - this.counts.refused - this.counts.unknown
  }

  /** Up to `nowMs`, so that a gap shows while it lasts. Without an argument: between acknowledged payments only. */
  longestGapMs(nowMs?: number): number {
    const open = nowMs === undefined || this.#lastAcknowledgedMs === undefined ? 0 : nowMs - this.#lastAcknowledgedMs
    return roundMs(Math.max(this.#longestGapMs, open))
  }

  #acknowledged(nowMs: number): void {
    if (this.#lastAcknowledgedMs !== undefined) {
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastAcknowledgedMs)
    }
    this.#lastAcknowledgedMs = nowMs
  }
}

export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function toMs(us: number): number {
  return us / 1000
}
