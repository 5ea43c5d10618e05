/** A mover process for tests of this connector: the route alone, its addresses taken from the environment. */
import { serveMover } from '@replatform/engine/mover-host'
import { parentChannel } from '@replatform/engine/process-channel'
import { redisRoute } from '../route.ts'

const side = (name: string) => ({ kind: 'redis' as const, url: process.env[name] ?? '' })

await serveMover({
  channel: parentChannel(),
  openMover: (spec, direction) => {
    const [source, target] = [side('TEST_SOURCE_URL'), side('TEST_TARGET_URL')]
    const flow = direction === 'forward' ? { source, target } : { source: target, target: source }
    const log = { info() {}, warn() {}, error() {} }
    return redisRoute.open({ move: spec.name, direction, ...flow, tools: {}, workers: 2, log })
  },
})
process.exit(0)
