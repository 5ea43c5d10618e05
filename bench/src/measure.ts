/** Side by side in one run: ours and the peer in turn, so that a machine whose speed drifts is unfair to neither. */

export interface Row {
  readonly work: string
  /** Says which way is good: `s`, `ms`, `MiB` lower; rates higher. */
  readonly unit: 's' | 'ms' | 'MiB' | 'MiB/s' | 'rows/s' | 'messages/s'
  /** Median of the runs. */
  readonly ours: number
  readonly peer: number
  readonly peerName: string
  /** Ours ÷ peer. */
  readonly ratio: number
  readonly runs: number
}

export interface BenchmarkOptions {
  readonly runs: number
  /** Size of the data, in the benchmark's own unit. */
  readonly scale: number
  /** How much is written for those who catch up with it. */
  readonly transactions: number
  /** Folder where our processes leave a CPU profile each. */
  readonly profiles?: string | undefined
  readonly log: (line: string) => void
}

export interface Measured {
  readonly rows: readonly Row[]
  /** Versions and data size, for the record. */
  readonly setting: string
}

type Measure = (options: BenchmarkOptions) => Promise<Measured>

export interface WholeBenchmark {
  readonly title: string
  readonly run: Measure
}

/** Each part can be run by itself and has a section of its own in the results. */
export interface PartedBenchmark {
  readonly title: string
  readonly parts: Readonly<Record<string, Measure>>
}

export type Benchmark = WholeBenchmark | PartedBenchmark

/** What is not held against a peer but against a figure that must be kept. */
export function goal(options: { work: string; unit: Row['unit']; ours: number; goal: number; runs?: number }): Row {
  const { work, unit, ours, goal: peer, runs = 1 } = options
  return { work, unit, ours: round(ours), peer, peerName: 'goal', ratio: round(ours / peer), runs }
}

export interface Contest {
  readonly work: string
  readonly unit: Row['unit']
  readonly peerName: string
  /** Makes what both will work on, before each run. */
  readonly prepare?: () => Promise<void>
  readonly ours: () => Promise<number>
  readonly peer: () => Promise<number>
}

export async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1_000
}

export async function contest(options: Contest, runs: number, log: (line: string) => void): Promise<Row> {
  const figures = { ours: [] as number[], peer: [] as number[] }
  for (let run = 1; run <= runs; run++) {
    await options.prepare?.()
    for (const who of ['ours', 'peer'] as const) {
      const figure = await options[who]()
      figures[who].push(figure)
      log(
        `${options.work}, run ${run} of ${runs}: ${who === 'ours' ? 'ours' : options.peerName} ${round(figure)} ${options.unit}`,
      )
    }
  }
  const ours = median(figures.ours)
  const peer = median(figures.peer)
  const { work, unit, peerName } = options
  return { work, unit, ours: round(ours), peer: round(peer), peerName, ratio: round(ours / peer), runs }
}

function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}

function round(figure: number): number {
  return Number(figure.toPrecision(3))
}
