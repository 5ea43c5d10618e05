import type { EstateWave } from '@replatform/core/estate'
import type { Place, Routing, RoutingCopy } from '@replatform/core/routing'
import { FileStore } from './file-store.ts'

/** The switchover point in front of a `FileStore`. It lives in the worker, so its faults hit the worker. */
export function createFileRouting(store: FileStore): Routing {
  const verb = <T>(name: string, act: () => T) => store.verb(name, 'routing', act)
  return {
    name: 'file route',
    writes: 'held',
    assess: async () => [],
    hold: () =>
      verb('hold', () => {
        store.isHeld = true
      }),
    point: (place: Place) =>
      verb('point', () => {
        store.route = place
      }),
    release: () =>
      verb('release', () => {
        store.isHeld = false
      }),
    where: async () => store.route,
    [Symbol.asyncDispose]: async () => {},
  }
}

/** The gateway of a wave, in a folder of its own; the folders stand in the environment, which a guard inherits. */
export function createFileGateways({ name }: Pick<EstateWave, 'name'>): Routing[] {
  const folders = JSON.parse(process.env.FILE_GATEWAYS ?? '{}') as Record<string, string>
  const folder = folders[name]
  return folder === undefined ? [] : [createFileRouting(new FileStore(folder))]
}

/** Of the switchover point of a store, in a folder beside the store's. */
export function createFileCopy(folder: string): RoutingCopy {
  const routing = createFileRouting(new FileStore(`${folder}-copy`))
  return { name: routing.name, detail: 'a folder', routing, client: null, [Symbol.asyncDispose]: async () => {} }
}
