/** The process that carries the data of one move: started by a worker, ends with it. */

import { serveMover } from '@replatform/engine/mover-host'
import type { Channel } from '@replatform/engine/mover-protocol'
import pino from 'pino'
import { endpointOf, routeFor } from './routes.ts'
import { resolveSecret } from './secrets.ts'
import { createLog } from './worker-log.ts'

const log = createLog(pino.destination({ dest: 1, sync: true }))

const channel: Channel = {
  // Between the worker's end and ours there is nobody left to tell.
  send: (message) => void (process.connected && process.send?.(message, undefined, undefined, () => {})),
  onMessage: (handler) => void process.on('message', handler),
  onClose: (handler) => void process.once('disconnect', handler),
}

await serveMover({
  channel,
  openMover: ({ name, store, tools }, direction) => {
    const old = endpointOf(store, 'source', resolveSecret)
    const next = endpointOf(store, 'target', resolveSecret)
    const [source, target] = direction === 'forward' ? [old, next] : [next, old]
    return routeFor(store).open({ move: name, direction, source, target, tools, workers: store.workers ?? 4, log })
  },
})
process.exit(0)
