/**
 * Follows a source that lets nobody replicate, as a managed one does. Its notifications say which keys were written;
 * each is copied as it stands, so that nothing depends on the order of events, and a copy may be made twice. What no
 * notification tells (FLUSHALL, or what was written while nobody listened) is found by a pass over all keys: at the
 * beginning where there was such a gap, and again and again. Only a pass on two fenced sides says that they are equal.
 */
import type { FollowOptions, FollowProgress } from '@replatform/core/connector'
import { position } from '@replatform/core/position'
import type { DirtyKey, DirtyKeys } from './dirty-keys.ts'
import type { KeyCopier } from './key-copier.ts'

export interface ResyncFollowerOptions {
  readonly dirty: DirtyKeys
  readonly copier: KeyCopier
  /** Looks at every key and adds what differs to `dirty`. */
  readonly pass: (signal: AbortSignal) => Promise<void>
  /** Whether everything that was written since both sides were equal is known. */
  readonly isWhole: boolean
  /** Listens anew where the notifications broke off; false where they never did. */
  readonly listenAgain: () => Promise<boolean>
}

const keysAtOnce = 500
const pollMs = 20
const reportEveryMs = 500
const passEveryMs = 600_000

export class ResyncFollower {
  readonly #options: ResyncFollowerOptions
  readonly #totals = { transactions: 0, rows: 0, bytes: 0 }
  #inFlight = 0
  #inFlightMs: number | null = null
  #isWhole: boolean
  #gaps = 0
  #passDueMs: number
  #passing: Promise<void> | null = null
  #passFailure: { readonly thrown: unknown } | null = null

  constructor(options: ResyncFollowerOptions) {
    this.#options = options
    this.#isWhole = options.isWhole
    this.#passDueMs = options.isWhole ? Date.now() + passEveryMs : 0
  }

  /** Keys that are known to be written and are not on the target. */
  get remaining(): number {
    return this.#options.dirty.count + this.#inFlight
  }

  /** Ends upon the signal, when what is being written is durable; rejects with what broke it. */
  async run({ signal, report, throttle }: FollowOptions): Promise<void> {
    const ended = new AbortController()
    const passSignal = AbortSignal.any([signal, ended.signal])
    let reportedMs = 0
    try {
      while (!signal.aborted) {
        if (await this.#options.listenAgain()) this.#noteGap()
        this.#passWhenDue(passSignal)
        if (this.#passFailure) throw this.#passFailure.thrown
        const keys = this.#options.dirty.take(keysAtOnce)
        if (keys.length > 0) {
          await throttle()
          await this.#copy(keys)
        }
        if (keys.length > 0 || Date.now() - reportedMs > reportEveryMs) {
          report(this.#progress())
          reportedMs = Date.now()
        }
        if (keys.length < keysAtOnce) await new Promise((resolve) => setTimeout(resolve, pollMs))
      }
    } finally {
      ended.abort()
      await this.#passing
    }
  }

  #passWhenDue(signal: AbortSignal): void {
    if (this.#passing || !this.#isPassDue()) return
    this.#passing = this.#pass(signal).catch((thrown: unknown) => {
      if (!signal.aborted) this.#passFailure = { thrown }
    })
    void this.#passing.then(() => {
      this.#passing = null
    })
  }

  #isPassDue(): boolean {
    if (this.#options.dirty.takeOverflow()) this.#noteGap()
    return Date.now() >= this.#passDueMs
  }

  #noteGap(): void {
    this.#gaps += 1
    this.#isWhole = false
    this.#passDueMs = 0
  }

  /** A gap that opens while it runs needs another. */
  async #pass(signal: AbortSignal): Promise<void> {
    const gaps = this.#gaps
    await this.#options.pass(signal)
    if (gaps !== this.#gaps) return
    this.#isWhole = true
    this.#passDueMs = Date.now() + passEveryMs
  }

  async #copy(keys: readonly DirtyKey[]): Promise<void> {
    this.#inFlight = keys.length
    this.#inFlightMs = Date.now()
    for (const [db, group] of Map.groupBy(keys, (dirty) => dirty.db)) {
      this.#totals.bytes += await this.#options.copier.copy(
        db,
        group.map(({ key }) => key),
      )
    }
    this.#totals.rows += keys.length
    this.#totals.transactions += 1
    this.#inFlight = 0
    this.#inFlightMs = null
  }

  /** Nothing is level before a gap was looked through. */
  #progress(): FollowProgress {
    const oldestMs = this.#inFlightMs ?? this.#options.dirty.oldestMs
    const lagMs = oldestMs === null ? 0 : Math.max(Date.now() - oldestMs, 0)
    return {
      position: position(`copies:${this.#totals.rows}`),
      lagMs: this.#isWhole ? lagMs : Math.max(lagMs, 1_000),
      lagBytes: this.remaining,
      ...this.#totals,
    }
  }
}
