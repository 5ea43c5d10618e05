import { serveGuard } from '../guard-host.ts'
import { openFileMover } from './file-mover.ts'
import { createFileGateways, createFileRouting } from './file-routing.ts'
import { FileStore } from './file-store.ts'

await serveGuard({
  openLog: () => ({ info: () => {}, warn: () => {}, error: () => {} }),
  openMover: ({ store }, direction) => openFileMover(new FileStore(store.source.url), direction),
  createRoutings: ({ store }) => [createFileRouting(new FileStore(store.source.url))],
  createGateways: createFileGateways,
  openShared: () => Promise.reject(new Error('The file route shares no control database with a guard.')),
})
process.exit()
