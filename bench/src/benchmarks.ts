import type { Row } from './measure.ts'
import { postgresql } from './postgresql.ts'

export interface BenchmarkOptions {
  readonly runs: number
  /** Size of the data, in the benchmark's own unit. */
  readonly scale: number
  readonly log: (line: string) => void
}

export interface Benchmark {
  readonly title: string
  /** `setting`: versions and data size, for the record. */
  run(options: BenchmarkOptions): Promise<{ readonly rows: readonly Row[]; readonly setting: string }>
}

export const benchmarks: Readonly<Record<string, Benchmark>> = { postgresql }
