import type { FollowProgress } from '@replatform/core/connector'
import type { GroupProgress, MoverEvent } from '@replatform/engine/mover-protocol'
import type { FollowStatus, LoadStatus } from './api-types.ts'
import { RateMeter } from './rate-meter.ts'

/** The latest that a mover said about itself, with rates and estimated times. Kept in memory only. */
export class MoveProgress {
  #groups: readonly GroupProgress[] | null = null
  #follow: FollowProgress | null = null
  #followedAtMs: number | null = null
  #step: string | null = null
  #heldBy: string | null = null
  #rssBytes = 0
  #advances = 0
  readonly #load = { rows: new RateMeter(), bytes: new RateMeter() }
  #followed = newFollowMeters()

  get step(): string | null {
    return this.#step
  }

  /** Why the mover stands still although it could go on. */
  get heldBy(): string | null {
    return this.#heldBy
  }

  /** When the last report about following came, by the clock of `take`. */
  get followedAtMs(): number | null {
    return this.#followedAtMs
  }

  get rssBytes(): number {
    return this.#rssBytes
  }

  /** Grows whenever something durable came to stand on the target. */
  get advances(): number {
    return this.#advances
  }

  /** `atMs` by a clock that only grows. */
  take(event: MoverEvent, atMs: number): void {
    if (event.event === 'load') this.#takeLoad(event.groups, atMs)
    else if (event.event === 'follow') this.#takeFollow(event.progress, atMs)
    else if (event.event === 'step') this.#step = event.step
    else if (event.event === 'state') this.#step = null
    else if (event.event === 'held') this.#heldBy = event.by
    else if (event.event === 'compare') this.#step = `compare ${event.name} ${event.processed}/${event.total}`
    else this.#rssBytes = event.rssBytes
  }

  setStep(step: string | null): void {
    this.#step = step
  }

  /** The other direction counts its own positions. */
  forgetFollow(): void {
    this.#follow = null
    this.#followedAtMs = null
    this.#followed = newFollowMeters()
  }

  load(): LoadStatus | null {
    const groups = this.#groups
    if (!groups) return null
    const rowsPerSecond = this.#load.rows.perSecond
    const bytesPerSecond = this.#load.bytes.perSecond
    const left = Math.max(0, sum(groups, (group) => group.bytes) - sum(groups, (group) => group.loaded.bytes))
    const etaSeconds = left === 0 ? 0 : bytesPerSecond > 0 ? left / bytesPerSecond : null
    return { groups, rowsPerSecond, bytesPerSecond, etaSeconds }
  }

  follow(): FollowStatus | null {
    const progress = this.#follow
    if (!progress) return null
    const { rows, bytes, lag } = this.#followed
    const converges = progress.lagBytes > 0 && lag.perSecond < 0
    const etaSeconds = converges ? progress.lagBytes / -lag.perSecond : null
    return { ...progress, rowsPerSecond: rows.perSecond, bytesPerSecond: bytes.perSecond, etaSeconds }
  }

  #takeLoad(groups: readonly GroupProgress[], atMs: number): void {
    const rows = sum(groups, (group) => group.loaded.rows)
    const chunks = sum(groups, (group) => group.loaded.chunks)
    if (chunks > sum(this.#groups ?? [], (group) => group.loaded.chunks)) this.#advances += 1
    this.#groups = groups
    this.#load.rows.observe(rows, atMs)
    this.#load.bytes.observe(
      sum(groups, (group) => group.loaded.bytes),
      atMs,
    )
  }

  #takeFollow(progress: FollowProgress, atMs: number): void {
    this.#followedAtMs = atMs
    if (progress.position !== this.#follow?.position) this.#advances += 1
    this.#follow = progress
    this.#followed.rows.observe(progress.rows, atMs)
    this.#followed.bytes.observe(progress.bytes, atMs)
    this.#followed.lag.observe(progress.lagBytes, atMs)
  }
}

function newFollowMeters() {
  return { rows: new RateMeter(), bytes: new RateMeter(), lag: new RateMeter({ signed: true }) }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
