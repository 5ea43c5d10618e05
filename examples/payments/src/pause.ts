import { type EndLine, type RunLine, readJournal } from './journal.ts'
import { LatencyHistogram, roundMs } from './load-statistics.ts'

export interface TimeWindow {
  /** Milliseconds since 1970, by the wall clock. */
  readonly from: number
  readonly to: number
}

/** What payments felt of an event that took place within a window of time. */
export interface Pause {
  /** Longest time without an acknowledged payment that overlaps the window, at its full length. */
  readonly longestGapMs: number
  /** Of the payments that were due within the window and were answered. */
  readonly p99LatencyMs: number
  readonly maxLatencyMs: number
  /** Payments acknowledged within the window. */
  readonly acknowledged: number
}

/** Reads a journal from beginning to end, in bounded memory. Payments that were settled afterwards do not count. */
export async function pauseWithin(journal: string, window: TimeWindow): Promise<Pause> {
  const latencies = new LatencyHistogram()
  let startedAt = 0
  let last: number | undefined
  let longestGapMs = 0
  let acknowledged = 0
  for await (const line of readJournal(journal)) {
    if (line.t === 'run') {
      startedAt = startOf(line)
      last = undefined
    }
    if (line.t !== 'end' || line.tookMs === undefined) continue
    const at = startedAt + line.ms
    if (line.outcome !== 'unknown' && within(at - line.tookMs, window)) latencies.record(line.tookMs)
    if (!isAcknowledged(line)) continue
    if (within(at, window)) acknowledged++
    if (last !== undefined && at >= window.from && last <= window.to) longestGapMs = Math.max(longestGapMs, at - last)
    last = at
  }
  const { p99, max } = latencies.percentilesMs()
  return { longestGapMs: roundMs(longestGapMs), p99LatencyMs: p99, maxLatencyMs: max, acknowledged }
}

function isAcknowledged(line: EndLine): boolean {
  return line.outcome === 'success'
}

function startOf(line: RunLine): number {
  return Date.parse(line.at)
}

function within(at: number, window: TimeWindow): boolean {
  return at >= window.from && at <= window.to
}
