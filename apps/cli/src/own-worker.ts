import type { RemoteOptions } from '@replatform/control/api'
import { startWorker, type Worker } from '@replatform/control/worker'
import type { Log } from '@replatform/core/connector'
import type { Invocation } from './invocation.ts'
import { createGateways, createRoutings, describeRoute } from './routes.ts'
import { createCopies } from './routing-copies.ts'
import { version } from './version.ts'
import type { ConnectOptions } from './worker-connection.ts'

/** A worker inside this process. Throws what `startWorker` throws. */
export function startOwnWorker(
  invocation: Invocation,
  log: Log,
  {
    hostsMoves,
    mostWaves,
    remote,
  }: ConnectOptions & { readonly mostWaves?: number | undefined; readonly remote?: RemoteOptions },
): Promise<Worker> {
  const { estate, stateDirectory, resolveSecret, io } = invocation
  return startWorker({
    estate,
    stateDirectory,
    controlUrl: io.env.REPLATFORM_CONTROL_URL || undefined,
    moverMain: new URL('./mover-main.ts', import.meta.url),
    guardMain: new URL('./guard-main.ts', import.meta.url),
    version,
    mostWaves: hostsMoves ? mostWaves : 0,
    remote,
    resolveSecret,
    describeRoute,
    createRoutings: (store) => createRoutings(store, resolveSecret, log),
    createGateways: (wave) => createGateways(wave, log),
    createCopies: (of) => createCopies(of, { tools: estate.tools ?? {}, resolveSecret, log }),
    log,
  })
}
