import type { Route } from '@replatform/core/connector'
import { TopologyMover } from './topology-mover.ts'

export const redisRoute: Route = {
  source: 'redis',
  target: 'redis',
  declares: {
    load: 'stream',
    follow: 'with-load',
    epoch: 'batch',
    fence: { source: true, target: true },
    delivery: 'exactly-once',
    reverse: 'resync',
    pause: 'joins',
  },
  open: (options) => new TopologyMover(options),
}
