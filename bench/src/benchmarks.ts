import type { Benchmark } from './measure.ts'
import { messaging } from './messaging.ts'
import { postgresql } from './postgresql.ts'
import { redis } from './redis.ts'

export const benchmarks: Readonly<Record<string, Benchmark>> = { messaging, postgresql, redis }
