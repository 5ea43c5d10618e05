import { randomBytes } from 'node:crypto'
import type { RunLine } from './journal.ts'
import { roundMs } from './load-statistics.ts'

/** The name of a run and its time, by a clock that never jumps. */
export class LoadClock {
  readonly run = randomBytes(4).toString('hex')
  readonly #startedAt = performance.now()
  #keys = 0

  /** Milliseconds since the start, to the microsecond. */
  get ms(): number {
    return roundMs(this.nowMs())
  }

  nowMs(): number {
    return performance.now() - this.#startedAt
  }

  /** A key that no other run and nobody else in this run uses. */
  nextKey(): string {
    return `${this.run}-${String(this.#keys++).padStart(9, '0')}`
  }

  runLine(seed: number, rate: number): RunLine {
    const at = new Date(performance.timeOrigin + this.#startedAt).toISOString()
    return { t: 'run', run: this.run, at, seed, rate }
  }
}
