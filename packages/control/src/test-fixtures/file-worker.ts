import type { Log } from '@replatform/core/connector'
import type { Estate } from '@replatform/core/estate'
import { startWorker, type Worker } from '../worker.ts'
import { createFileCopy, createFileGateways, createFileRouting } from './file-routing.ts'
import { FileStore } from './file-store.ts'

export interface FileWorkerOptions {
  readonly stateDirectory: string
  /** One move for each: its name and the folder of its store. */
  readonly stores: Readonly<Record<string, string>>
  readonly controlUrl?: string | undefined
  readonly mostWaves?: number | undefined
  readonly isGuarded?: boolean | undefined
  readonly waves?: Estate['waves']
  /** Moves that trail their wave. */
  readonly trailing?: readonly string[]
  /** Folders of gateways, by wave. */
  readonly gateways?: Readonly<Record<string, string>>
  readonly log?: Log
}

/** A worker whose moves are `FileStore`s. */
export function startFileWorker({
  stateDirectory,
  stores,
  controlUrl,
  mostWaves,
  isGuarded,
  waves,
  trailing = [],
  gateways = {},
  log = silent,
}: FileWorkerOptions): Promise<Worker> {
  // The guard of a cutover inherits it.
  process.env.FILE_GATEWAYS = JSON.stringify(gateways)
  return startWorker({
    estate: fileEstate(stores, waves),
    stateDirectory,
    controlUrl,
    mostWaves,
    moverMain: new URL('./file-mover-main.ts', import.meta.url),
    guardMain: isGuarded ? new URL('./file-guard-main.ts', import.meta.url) : undefined,
    version: '0.0.0-test',
    describeRoute: ({ source }) => ({
      name: 'file→file',
      declares: {
        load: 'chunks',
        follow: 'after-load',
        epoch: 'transaction',
        fence: { source: true, target: true },
        delivery: 'exactly-once',
        reverse: 'stream',
        pause: trailing.some((name) => stores[name] === source.url) ? 'trails' : 'joins',
      },
    }),
    createGateways: createFileGateways,
    createCopies: (of) => ('source' in of ? [createFileCopy(of.source.url)] : []),
    createRoutings: (store) => [createFileRouting(new FileStore(store.source.url))],
    log,
  })
}

/** The kind is one that the schema knows; nothing here connects to a PostgreSQL. */
function fileEstate(stores: Readonly<Record<string, string>>, waves: Estate['waves']): Estate {
  const entries = Object.entries(stores).map(([name, folder]) => {
    const side = { kind: 'postgresql', url: folder } as const
    return [name, { source: side, target: side }]
  })
  return { estate: 'test', stores: Object.fromEntries(entries), ...(waves ? { waves } : {}) }
}

const silent: Log = { info: () => {}, warn: () => {}, error: () => {} }
