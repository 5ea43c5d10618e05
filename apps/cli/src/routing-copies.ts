/** What a rehearsal holds, points and releases in the place of the real switchover points. */
import { copyHaproxy } from '@replatform/connector-haproxy/copy'
import { createHaproxyRouting } from '@replatform/connector-haproxy/routing'
import { copyPgbouncer } from '@replatform/connector-pgbouncer/copy'
import { createPgbouncerRouting } from '@replatform/connector-pgbouncer/routing'
import type { Log } from '@replatform/core/connector'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { EstateStore, EstateWave, HaproxySwitch, PgbouncerSwitch } from '@replatform/core/estate'
import type { Routing, RoutingCopy } from '@replatform/core/routing'
import { findProgram } from '@replatform/engine/kept-program'
import { haproxyOptions, loginOf, pgbouncerOptions, type StoreSwitchOptions } from './routes.ts'
import type { ResolveSecret } from './secrets.ts'

export interface CopyOptions {
  /** Programs of the estate, by name. */
  readonly tools: Readonly<Record<string, string>>
  readonly resolveSecret: ResolveSecret
  readonly log: Log
}

/**
 * One for each switchover point of a store, or in front of a wave: the copy that the estate names, or one that is
 * started here. Does not throw: what cannot be copied says why.
 */
export async function createCopies(of: EstateStore | EstateWave, options: CopyOptions): Promise<RoutingCopy[]> {
  if ('source' in of) return copiesOfStore(of, options)
  return Promise.all(
    (of.gateways ?? []).map(({ haproxy, rehearsal }) => {
      if (rehearsal) return named(createHaproxyRouting(haproxyOptions(rehearsal, options.log)))
      return started(`haproxy ${haproxy.backend}`, () => startHaproxy(haproxy, options))
    }),
  )
}

async function copiesOfStore(store: EstateStore, options: CopyOptions): Promise<RoutingCopy[]> {
  const { pgbouncer, haproxy } = store.switch ?? {}
  const copies = store.rehearsal?.switch
  const made: RoutingCopy[] = []
  if (pgbouncer) {
    const { resolveSecret, log } = options
    const copy = copies?.pgbouncer
    const all = { store, resolveSecret, log }
    made.push(
      copy
        ? named(createPgbouncerRouting(pgbouncerOptions(copy, all)))
        : await started(`pgbouncer ${pgbouncer.database}`, () => startPgbouncer(pgbouncer, { ...options, ...all })),
    )
  }
  if (haproxy) {
    const copy = copies?.haproxy
    made.push(
      copy
        ? named(createHaproxyRouting(haproxyOptions(copy, options.log)))
        : await started(`haproxy ${haproxy.backend}`, () => startHaproxy(haproxy, options)),
    )
  }
  return made
}

/** Reached as the mover's user of whichever side: the new one lets nobody else in. */
async function startPgbouncer(pgbouncer: PgbouncerSwitch, options: StoreSwitchOptions & CopyOptions) {
  const { store, resolveSecret, tools } = options
  const real = pgbouncerOptions(pgbouncer, options)
  const places = {
    old: { ...real.places.old, ...loginOf(store, 'source', resolveSecret) },
    new: { ...real.places.new, ...loginOf(store, 'target', resolveSecret) },
  }
  return copyPgbouncer({ ...real, places, program: await programOf('pgbouncer', tools) })
}

async function startHaproxy(haproxy: HaproxySwitch, { tools, log }: CopyOptions): Promise<RoutingCopy> {
  const program = await programOf('haproxy', tools)
  return copyHaproxy({ ...haproxyOptions(haproxy, log), config: haproxy.config, program })
}

async function programOf(name: string, tools: CopyOptions['tools']): Promise<string> {
  const found = await findProgram(tools[name] ?? name)
  if (found) return found
  throw new ReplatformError('routing.failed', {
    message: `the worker's machine has no program ${tools[name] ?? name}; install it, or name it under tools.${name}`,
  })
}

async function started(name: string, start: () => Promise<RoutingCopy>): Promise<RoutingCopy> {
  try {
    return await start()
  } catch (thrown) {
    const detail = toReplatformError(thrown).message
    return { name, detail, routing: null, client: null, [Symbol.asyncDispose]: async () => {} }
  }
}

function named(routing: Routing): RoutingCopy {
  const detail = 'the copy that the estate names'
  return {
    name: routing.name,
    detail,
    routing,
    client: null,
    [Symbol.asyncDispose]: () => routing[Symbol.asyncDispose](),
  }
}
