/**
 * HAProxy in front of a store, or of services: one backend has the servers of both sides and one more that refuses
 * every connection. What comes while only that one is in service is tried again by HAProxy, so it waits and is lost
 * nowhere; `set maxconn frontend … 0` would do the same, but 2.6 hangs when it is raised again.
 *
 * Where held clients go next stands in HAProxy too, as the weight of the waiting server: any process can go on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@replatform/core/connector'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import type { Place, Routing } from '@replatform/core/routing'
import { replaceFile } from '@replatform/engine/replace-file'
import { assessHaproxy } from './assessment.ts'
import { readServers, readTraffic, type ServerState } from './backend-state.ts'
import { RuntimeApi } from './runtime-api.ts'

export interface HaproxyRoutingOptions {
  /** The runtime API at level admin: the path of a socket, or host:port. */
  readonly socket: string
  readonly backend: string
  /** The servers of each side in that backend. Services that only stay held are named on both. */
  readonly servers: Readonly<Record<Place, readonly string[]>>
  /** A server at which nothing listens. */
  readonly wait: string
  /** HAProxy's `server-state-file`, where it is on this machine. */
  readonly stateFile?: string | undefined
  /** Where the store's sides are; nothing is compared without them. */
  readonly addresses?: Readonly<Record<Place, { readonly host: string; readonly port: number }>> | undefined
  readonly log: Log
}

const places: readonly Place[] = ['old', 'new']
const weightOf: Readonly<Record<Place, number>> = { old: 1, new: 2 }

/** Connects to nothing yet. */
export function createHaproxyRouting(options: HaproxyRoutingOptions): Routing {
  return new HaproxyRouting(options)
}

class HaproxyRouting implements Routing {
  readonly name: string
  readonly writes = 'held'
  readonly #options: HaproxyRoutingOptions
  readonly #api: RuntimeApi

  constructor(options: HaproxyRoutingOptions) {
    this.name = `haproxy ${options.backend}`
    this.#options = options
    this.#api = new RuntimeApi(options.socket)
  }

  assess(): Promise<Finding[]> {
    return assessHaproxy({ api: this.#api, ...this.#options })
  }

  async hold({ withinMs }: { readonly withinMs: number }): Promise<void> {
    const deadline = performance.now() + withinMs
    const place = this.#placeOf(await this.#states())
    if (!place) throw this.#unclear()
    try {
      await this.#set(place, 'held')
      await this.#drain(deadline)
      await this.#keepStates()
    } catch (error) {
      await this.#giveUpHold(error)
    }
    this.#options.log.info({ routing: this.name }, 'new connections and requests are held')
  }

  async point(place: Place): Promise<void> {
    const { log } = this.#options
    const isHeld = this.#isHeld(await this.#states())
    await this.#set(place, isHeld ? 'held' : 'served')
    // A reload in the pause lets clients in again: whoever is on the other side by now must come anew.
    if (!isHeld) await this.#endSessions(place)
    await this.#keepStatesIfPossible()
    log.info({ routing: this.name, place }, 'clients are sent there from their release on')
  }

  async release(): Promise<void> {
    const states = await this.#states()
    if (this.#isHeld(states)) {
      const place = this.#placeOf(states)
      if (!place) throw this.#unclear()
      await this.#set(place, 'served')
      await this.#keepStatesIfPossible()
    }
    this.#options.log.info({ routing: this.name }, 'held connections and requests are let through')
  }

  async where(): Promise<Place | undefined> {
    return this.#placeOf(await this.#states())
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #states(): Promise<ReadonlyMap<string, ServerState>> {
    return readServers(this.#api, this.#options.backend)
  }

  #isHeld(states: ReadonlyMap<string, ServerState>): boolean {
    return states.get(this.#options.wait)?.inMaintenance === false
  }

  /** While clients are held, where they go next. */
  #placeOf(states: ReadonlyMap<string, ServerState>): Place | undefined {
    const weight = states.get(this.#options.wait)?.weight
    if (this.#isHeld(states)) return places.find((place) => weightOf[place] === weight)
    const { servers } = this.#options
    const inService = (name: string): boolean => states.get(name)?.inMaintenance === false
    const others = (place: Place): string[] => this.#all().filter((name) => !servers[place].includes(name))
    return places.find((place) => servers[place].some(inService) && !others(place).some(inService))
  }

  /** What takes traffic comes into service before what took it leaves, so that no request finds nobody. */
  async #set(place: Place, how: 'held' | 'served'): Promise<void> {
    const { backend, wait, servers } = this.#options
    const ready = how === 'held' ? [wait] : servers[place]
    const maintained = [wait, ...this.#all()].filter((name) => !ready.includes(name))
    // Alone, since a command that fails does not stop those behind it, and without the mark nobody knows the place.
    await this.#api.run([`set weight ${backend}/${wait} ${weightOf[place]}`])
    await this.#api.run([
      ...ready.map((name) => `set server ${backend}/${name} state ready`),
      ...maintained.map((name) => `set server ${backend}/${name} state maint`),
    ])
    const states = await this.#states()
    const isDone = this.#placeOf(states) === place || servers.old.every((name) => servers.new.includes(name))
    if (isDone && this.#isHeld(states) === (how === 'held')) return
    throw new ReplatformError('routing.failed', {
      message: `HAProxy at ${this.#api.address} was told to change the servers of ${backend}, and they are otherwise.`,
    })
  }

  /** Requests end by themselves; a connection carries commands for as long as its client likes, so it is ended. */
  async #drain(deadline: number): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      const { mode, inFlight } = await readTraffic(this.#api, this.#options.backend)
      const busy = this.#all().filter((name) => (inFlight.get(name) ?? 0) > 0)
      if (busy.length > 0 && mode === 'tcp') await this.#shutDown(busy)
      // A connection that chose its server just before the hold shows a moment later.
      quiet = busy.length > 0 ? 0 : quiet + 1
      if (performance.now() >= deadline && quiet < 2) throw this.#stillBusy(busy, mode)
      await sleep(5)
    }
  }

  async #endSessions(place: Place): Promise<void> {
    const { servers } = this.#options
    await this.#shutDown(this.#all().filter((name) => !servers[place].includes(name)))
  }

  async #shutDown(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const { backend } = this.#options
    await this.#api.run(names.map((name) => `shutdown sessions server ${backend}/${name}`))
  }

  async #giveUpHold(failure: unknown): Promise<never> {
    const { backend, wait } = this.#options
    await this.release().catch((error: unknown) => {
      throw new ReplatformError('routing.failed', {
        message: `HAProxy did not hold ${backend}, and could not be told to release it: ${toReplatformError(error).message}`,
        untouched: `The clients of ${backend} may still wait; the data is untouched.`,
        next: `On HAProxy's runtime API set the servers of ${backend} that should serve to ready, and ${wait} to maint.`,
        cause: error,
      })
    })
    throw new ReplatformError('routing.failed', {
      message: `HAProxy did not hold ${backend}; it was released. ${toReplatformError(failure).message}`,
      next: 'Correct what is said here, or raise the pause budget for long requests; then cut over again.',
      cause: failure,
    })
  }

  /** HAProxy begins with these states after a reload or a restart. */
  async #keepStates(): Promise<void> {
    const { stateFile } = this.#options
    if (!stateFile) return
    const states = await this.#api.ask(['show servers state'])
    try {
      await replaceFile(stateFile, `${states}\n`)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new ReplatformError('routing.failed', { message: `${stateFile} was not written: ${reason}.`, cause })
    }
  }

  /** Once clients must be let through, a full disk here shall not keep them waiting. */
  async #keepStatesIfPossible(): Promise<void> {
    await this.#keepStates().catch((err: unknown) => {
      this.#options.log.error({ routing: this.name, err }, 'a reload of HAProxy would not keep where clients are sent')
    })
  }

  #all(): string[] {
    const { old, new: fresh } = this.#options.servers
    return [...new Set([...old, ...fresh])]
  }

  #unclear(): ReplatformError {
    const { backend, servers } = this.#options
    return new ReplatformError('routing.failed', {
      message: `HAProxy sends ${backend} to neither side alone (old: ${servers.old.join(', ')}; new: ${servers.new.join(', ')}).`,
      next: 'Set the servers of one side to ready and those of the other to maint, then cut over again.',
    })
  }

  #stillBusy(busy: readonly string[], mode: string): ReplatformError {
    const what = mode === 'tcp' ? 'connections' : 'requests'
    return new ReplatformError('routing.failed', { message: `${what} to ${busy.join(', ')} did not end in time.` })
  }
}
