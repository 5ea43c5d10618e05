/** One full load of Redis in a process of its own, as a mover does it. Addresses come by environment; prints its figures. */
import { redisRoute } from '@replatform/connector-redis/route'
import { loadChunks } from '@replatform/engine/load-chunks'
import { Throttle } from '@replatform/engine/throttle'

const side = (name: string) => ({ kind: 'redis' as const, url: process.env[name] as string })
const log = { info() {}, warn() {}, error() {} }
const sides = { source: side('BENCH_SOURCE_URL'), target: side('BENCH_TARGET_URL') }
let rssBytes = 0
const watch = setInterval(() => {
  rssBytes = Math.max(rssBytes, process.memoryUsage.rss())
}, 50)
await using mover = redisRoute.open({ move: 'bench', direction: 'forward', ...sides, tools: {}, workers: 1, log })
await mover.prepare({ load: true })
await mover.groups()
const startedAt = performance.now()
await loadChunks({
  mover,
  workers: 1,
  throttle: new Throttle(),
  signal: new AbortController().signal,
  report: () => {},
})
const seconds = (performance.now() - startedAt) / 1_000
clearInterval(watch)
await mover.unfence('target')
console.log(JSON.stringify({ seconds, rssMiB: Math.round(rssBytes / 1_048_576) }))
