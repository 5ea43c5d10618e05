/**
 * Listens to what the servers of a flow's source tell of their keys: a server tells of its own keys only, so each that
 * takes writes is listened to by itself. Where one cannot have been heard all the time, its keys have a *gap*: they must
 * be looked at, each of them, before anybody may say that all writes are known.
 */
import type { Log } from '@replatform/core/connector'
import type { ReplatformError } from '@replatform/core/errors'
import { KeyEvents } from './key-events.ts'
import type { Shard } from './topology.ts'

export interface ShardEventsOptions {
  readonly move: string
  readonly log: Log
  /** The key is a view that holds during the call. */
  readonly onKey: (db: number, key: Buffer) => void
  /** Makes a server tell, before it is listened to: one that was restarted may have forgotten. */
  readonly enable: (url: string) => Promise<void>
}

interface Listening {
  readonly slots: string
  readonly stream: KeyEvents
  lost: ReplatformError | null
  hasGap: boolean
}

export class ShardEvents implements AsyncDisposable {
  readonly #options: ShardEventsOptions
  readonly #byUrl = new Map<string, Listening>()

  constructor(options: ShardEventsOptions) {
    this.#options = options
  }

  /** Begins anew on every one of them. The caller says whether both sides are equal at this moment. */
  async begin(shards: readonly Shard[], { isWhole }: { readonly isWhole: boolean }): Promise<void> {
    await this.stop()
    await this.#listen(shards)
    for (const { url } of shards) this.#mark(url, !isWhole)
  }

  /**
   * Listens to these and nobody else: again where it broke off, anew where another server has taken over or other slots
   * were given to one. Resolves with the addresses of those with a gap.
   */
  async follow(shards: readonly Shard[]): Promise<Set<string>> {
    const wanted = new Map(shards.map(({ url, slots }) => [url, String(slots)]))
    for (const [url, { stream, slots, lost }] of this.#byUrl) {
      if (!lost && wanted.get(url) === slots) continue
      await stream[Symbol.asyncDispose]()
      this.#byUrl.delete(url)
    }
    await this.#listen(shards.filter(({ url }) => !this.#byUrl.has(url)))
    return new Set(shards.filter(({ url }) => this.#byUrl.get(url)?.hasGap).map(({ url }) => url))
  }

  /** Those where it broke off, after listening again; a server cuts off whoever reads too slowly. */
  async listenAgain(shards: readonly Shard[]): Promise<Shard[]> {
    const lost = shards.filter(({ url }) => this.#byUrl.get(url)?.lost)
    if (lost.length > 0) await this.follow(shards)
    return lost
  }

  /** Every key there was looked at since it was listened to. */
  close(url: string): void {
    this.#mark(url, false)
  }

  /** What was known of writes is lost. */
  giveUp(): void {
    for (const url of this.#byUrl.keys()) this.#mark(url, true)
  }

  async stop(): Promise<void> {
    for (const { stream } of this.#byUrl.values()) await stream[Symbol.asyncDispose]()
    this.#byUrl.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #listen(shards: readonly Shard[]): Promise<void> {
    await Promise.all(shards.map((shard) => this.#listenTo(shard)))
  }

  async #listenTo({ url, slots }: Shard): Promise<void> {
    const { move, log, onKey, enable } = this.#options
    await enable(url)
    const state = { lost: null as ReplatformError | null, hasGap: true }
    const stream = await KeyEvents.open({
      url,
      onKey,
      onLost: (error) => {
        listening.lost = error
        listening.hasGap = true
        const what = 'Keyspace notifications broke off; every key there is looked at again.'
        log.warn({ move, slots: String(slots), err: error }, what)
      },
    })
    const listening: Listening = Object.assign(state, { slots: String(slots), stream })
    this.#byUrl.set(url, listening)
  }

  #mark(url: string, hasGap: boolean): void {
    const listening = this.#byUrl.get(url)
    if (listening) listening.hasGap = hasGap || listening.lost !== null
  }
}
