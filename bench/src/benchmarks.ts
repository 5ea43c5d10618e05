import type { Benchmark } from './measure.ts'
import { postgresql } from './postgresql.ts'

export const benchmarks: Readonly<Record<string, Benchmark>> = { postgresql }
