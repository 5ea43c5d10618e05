import type { PartedBenchmark } from './measure.ts'
import { benchCatchUp } from './postgresql-catch-up.ts'
import { benchCompare } from './postgresql-compare.ts'
import { benchDistance } from './postgresql-distance.ts'
import { benchLoad } from './postgresql-load.ts'
import { benchMemory } from './postgresql-memory.ts'

export const postgresql: PartedBenchmark = {
  title: 'load, catch-up, comparison, memory and distance; --scale is pgbench’s',
  parts: {
    'load': benchLoad,
    'catch-up': benchCatchUp,
    'compare': benchCompare,
    'memory': benchMemory,
    'distance': benchDistance,
  },
}
