/** What a report draws afterwards: a sample a second of payments and lag, and when writes were held. */
import type { CutoverStatus, MoveStatus } from '@replatform/control/api-types'

export interface PaymentSample {
  readonly atMs: number
  /** Acknowledged in the second before. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface LagSample {
  readonly atMs: number
  readonly move: string
  readonly lagMs: number
}

export interface Pause {
  readonly name: string
  readonly fromMs: number
  readonly ms: number
  readonly steps: CutoverStatus['steps']
}

/** Times are milliseconds since the recorder began. */
export class Recorder {
  readonly payments: PaymentSample[] = []
  readonly lags: LagSample[] = []
  readonly pauses: Pause[] = []
  readonly chapters: { readonly atMs: number; readonly title: string }[] = []
  readonly #startedAt = Date.now()
  #acknowledged: { readonly atMs: number; readonly count: number } | null = null

  chapter(title: string): void {
    this.chapters.push({ atMs: this.#now(), title })
  }

  /** A progress line of the load, which comes once a second. */
  takePayments(line: Readonly<Record<string, unknown>>): void {
    if (line.type !== 'progress') return
    const [atMs, count] = [this.#now(), Number(line.acknowledged)]
    const before = this.#acknowledged
    this.#acknowledged = { atMs, count }
    if (!before || atMs <= before.atMs) return
    const perSecond = (1_000 * (count - before.count)) / (atMs - before.atMs)
    this.payments.push({ atMs, perSecond, p50Ms: Number(line.p50Ms), p99Ms: Number(line.p99Ms) })
  }

  takeMoves(moves: readonly MoveStatus[]): void {
    const atMs = this.#now()
    for (const { name, follow } of moves) if (follow) this.lags.push({ atMs, move: name, lagMs: follow.lagMs })
  }

  takeCutover(name: string, { steps, pauseMs }: CutoverStatus): void {
    const hold = steps.find((step) => step.name === 'hold')?.startedAt
    if (!hold || pauseMs === null) return
    this.pauses.push({ name, fromMs: Date.parse(hold) - this.#startedAt, ms: pauseMs, steps })
  }

  #now(): number {
    return Date.now() - this.#startedAt
  }
}
