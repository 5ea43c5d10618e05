/** What happens while the demo goes on, for its view and for the report: payments, lag, pauses, and where it is. */
import type { CutoverStatus, MoveStatus } from '@replatform/control/api-types'

export interface PaymentSample {
  readonly atMs: number
  /** Acknowledged since the sample before. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface MoveSample {
  readonly atMs: number
  readonly move: string
  readonly lagMs: number
  readonly rowsPerSecond: number
}

export interface Pause {
  readonly name: string
  readonly fromMs: number
  readonly ms: number
  readonly steps: CutoverStatus['steps']
  /** What payments felt of it; null until that is known. */
  feltMs: number | null
}

export interface StopMark {
  readonly atMs: number
  readonly phase: string
  readonly name: string
  readonly title: string
}

/** Times are milliseconds since the recorder began. */
export class Recorder {
  readonly payments: PaymentSample[] = []
  readonly samples: MoveSample[] = []
  readonly pauses: Pause[] = []
  readonly stops: StopMark[] = []
  /** As of the last look. */
  moves: readonly MoveStatus[] = []
  acknowledged = 0
  readonly #startedAt = Date.now()
  #before: { readonly atMs: number; readonly count: number } | null = null

  get nowMs(): number {
    return Date.now() - this.#startedAt
  }

  stop(stop: Omit<StopMark, 'atMs'>): void {
    this.stops.push({ atMs: this.nowMs, ...stop })
  }

  /** A progress line of the load. */
  takePayments(line: Readonly<Record<string, unknown>>): void {
    if (line.type !== 'progress') return
    const [atMs, count] = [this.nowMs, Number(line.acknowledged)]
    const before = this.#before
    this.#before = { atMs, count }
    this.acknowledged = count
    if (!before || atMs <= before.atMs) return
    const perSecond = (1_000 * (count - before.count)) / (atMs - before.atMs)
    this.payments.push({ atMs, perSecond, p50Ms: Number(line.p50Ms), p99Ms: Number(line.p99Ms) })
  }

  takeMoves(moves: readonly MoveStatus[]): void {
    const atMs = this.nowMs
    this.moves = moves
    for (const { name, follow, load, state } of moves) {
      if (follow) this.samples.push({ atMs, move: name, lagMs: follow.lagMs, rowsPerSecond: follow.rowsPerSecond })
      else if (load && state === 'loading') {
        this.samples.push({ atMs, move: name, lagMs: 0, rowsPerSecond: load.rowsPerSecond })
      }
    }
  }

  takeCutover(name: string, { steps, pauseMs }: CutoverStatus): void {
    const hold = steps.find((step) => step.name === 'hold')?.startedAt
    if (!hold || pauseMs === null) return
    this.pauses.push({ name, fromMs: Date.parse(hold) - this.#startedAt, ms: pauseMs, steps, feltMs: null })
  }

  takeFelt(name: string, feltMs: number): void {
    const pause = this.pauses.find((each) => each.name === name)
    if (pause) pause.feltMs = feltMs
  }
}
