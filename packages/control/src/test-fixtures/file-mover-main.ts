import { serveMover } from '@replatform/engine/mover-host'
import { openFileMover } from './file-mover.ts'
import { FileStore } from './file-store.ts'

await serveMover({
  channel: {
    send: (message) => void process.send?.(message, () => {}),
    onMessage: (handler) => void process.on('message', handler),
    onClose: (handler) => void process.once('disconnect', handler),
  },
  openMover: (spec, direction) => openFileMover(new FileStore(spec.store.source.url), direction),
})
process.exit()
