/** The process that carries the data of one move: started by a worker, ends with it. */
import { serveMover } from '@replatform/engine/mover-host'
import { parentChannel } from '@replatform/engine/process-channel'
import pino from 'pino'
import { openMover } from './routes.ts'
import { resolveSecret } from './secrets.ts'
import { createLog } from './worker-log.ts'

const log = createLog(pino.destination({ dest: 1, sync: true }))

await serveMover({
  channel: parentChannel(),
  openMover: (spec, direction) => openMover(spec, { direction, resolveSecret, log }),
})
process.exit(0)
