/** A mover of Redis in a process of its own, with the memory that the product gives it; told by messages what to do. */
import { redisRoute } from '@replatform/connector-redis/route'
import { loadChunks } from '@replatform/engine/load-chunks'
import { Throttle } from '@replatform/engine/throttle'

export type MoverOrder = 'load' | 'follow' | 'hold' | 'release' | 'end'
export type MoverWord =
  | { readonly said: 'loaded'; readonly seconds: number }
  | { readonly said: 'following'; readonly offset: number; readonly rssMiB: number }

const side = (name: string) => ({ kind: 'redis' as const, url: process.env[name] as string })
const log = { info() {}, warn() {}, error() {} }
const sides = { source: side('BENCH_SOURCE_URL'), target: side('BENCH_TARGET_URL') }
const mover = redisRoute.open({ move: 'bench', direction: 'forward', ...sides, tools: {}, workers: 1, log })
const end = new AbortController()
let gate = Promise.withResolvers<void>()
let isHeld = false
gate.resolve()

const orders: Record<MoverOrder, () => Promise<void>> = {
  async load() {
    await mover.prepare({ load: true })
    await mover.groups()
    const startedAt = performance.now()
    const signal = new AbortController().signal
    await loadChunks({ mover, workers: 1, throttle: new Throttle(), signal, report: () => {} })
    say({ said: 'loaded', seconds: (performance.now() - startedAt) / 1_000 })
  },
  async follow() {
    const report = ({ position }: { position: string }) =>
      say({
        said: 'following',
        offset: Number(position.split(':')[1]),
        rssMiB: Math.round(process.resourceUsage().maxRSS / 1_024),
      })
    await mover.follow({ signal: end.signal, report, throttle: () => gate.promise })
  },
  async hold() {
    // A second hold must not replace the gate that the mover waits at.
    if (!isHeld) gate = Promise.withResolvers()
    isHeld = true
  },
  async release() {
    isHeld = false
    gate.resolve()
  },
  async end() {
    end.abort()
    gate.resolve()
    await mover.unfence('target', { turn: 1 })
    // The next run fences the target again, before any cutover.
    await mover.cleanUp('everything')
    process.exit(0)
  },
}

process.on('message', (order: MoverOrder) => {
  orders[order]().catch((thrown) => {
    console.error(thrown)
    process.exit(1)
  })
})

function say(word: MoverWord): void {
  process.send?.(word)
}
