/** One full load in a process of its own, as a mover does it: prepare, chunks, indexes, statistics. Addresses come by environment. */

import { postgresqlRoute } from '@replatform/connector-postgresql/route'
import { loadChunks } from '@replatform/engine/load-chunks'
import { Throttle } from '@replatform/engine/throttle'

const workers = Number(process.env.BENCH_WORKERS ?? 4)
const side = (name: string) => ({ kind: 'postgresql' as const, url: process.env[name] as string })
const silent = { info() {}, warn() {}, error() {} }
await using mover = postgresqlRoute.open({
  move: 'bench',
  direction: 'forward',
  source: side('BENCH_SOURCE_URL'),
  target: side('BENCH_TARGET_URL'),
  tools: {},
  workers,
  log: silent,
})
await mover.prepare({ load: true })
await mover.groups()
await loadChunks({ mover, workers, throttle: new Throttle(), signal: new AbortController().signal, report: () => {} })
await mover.finishLoad(() => {})
