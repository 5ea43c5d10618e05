/**
 * Follows a source that lets nobody replicate, as a managed one does. Its notifications say which keys were written;
 * each is copied as it stands, so that nothing depends on the order of events, and a copy may be made twice. What no
 * notification tells (FLUSHALL, or what was written while nobody listened) is found by a pass over all keys of a lane: at
 * the beginning where there was such a gap, and again and again. Only a pass on two fenced sides says that they are equal.
 */
import type { FollowOptions, FollowProgress } from '@replatform/core/connector'
import { position } from '@replatform/core/position'
import type { DirtyKey, DirtyKeys } from './dirty-keys.ts'
import type { KeyCopier } from './key-copier.ts'

export interface ResyncFollowerOptions {
  readonly dirty: DirtyKeys
  /** For each lane. */
  readonly copiers: readonly KeyCopier[]
  readonly laneOf: (key: Buffer) => number
  /** Lanes where something that was written may not be known. */
  readonly gaps: Iterable<number>
  /** Looks at every key of these lanes and adds what differs to `dirty`. */
  readonly pass: (lanes: readonly number[], signal: AbortSignal) => Promise<void>
  /** Told that a pass has closed the gap of a lane. */
  readonly onWhole: (lane: number) => void
  /** Lanes where a gap was torn since this was last asked. */
  readonly findGaps: () => Promise<readonly number[]>
}

const keysAtOnce = 500
const pollMs = 20
const reportEveryMs = 500
const passEveryMs = 600_000

interface Lane {
  isWhole: boolean
  /** Torn so far: one that is torn during a pass needs another. */
  gaps: number
  passDueMs: number
}

export class ResyncFollower {
  readonly #options: ResyncFollowerOptions
  readonly #totals = { transactions: 0, rows: 0, bytes: 0 }
  readonly #lanes: readonly Lane[]
  #inFlight = 0
  #inFlightMs: number | null = null
  #passing: Promise<void> | null = null
  #passFailure: { readonly thrown: unknown } | null = null

  constructor(options: ResyncFollowerOptions) {
    this.#options = options
    this.#lanes = options.copiers.map(() => ({ isWhole: true, gaps: 0, passDueMs: Date.now() + passEveryMs }))
    for (const lane of options.gaps) this.#noteGap(lane)
  }

  /** Keys that are known to be written and are not on the target. */
  get remaining(): number {
    return this.#options.dirty.count + this.#inFlight
  }

  /** Ends upon the signal, when what is being written is durable; rejects with what broke it. */
  async run({ signal, report, throttle }: FollowOptions): Promise<void> {
    const ended = new AbortController()
    const passSignal = AbortSignal.any([signal, ended.signal])
    const most = keysAtOnce * this.#lanes.length
    let reportedMs = 0
    try {
      while (!signal.aborted) {
        for (const lane of await this.#options.findGaps()) this.#noteGap(lane)
        this.#passWhenDue(passSignal)
        if (this.#passFailure) throw this.#passFailure.thrown
        const keys = this.#options.dirty.take(most)
        if (keys.length > 0) {
          await throttle()
          await this.#copy(keys)
        }
        if (keys.length > 0 || Date.now() - reportedMs > reportEveryMs) {
          report(this.#progress())
          reportedMs = Date.now()
        }
        if (keys.length < most) await new Promise((resolve) => setTimeout(resolve, pollMs))
      }
    } finally {
      ended.abort()
      await this.#passing
    }
  }

  #passWhenDue(signal: AbortSignal): void {
    if (this.#options.dirty.takeOverflow()) for (const lane of this.#lanes.keys()) this.#noteGap(lane)
    if (this.#passing) return
    const due = [...this.#lanes.keys()].filter((lane) => Date.now() >= (this.#lanes[lane] as Lane).passDueMs)
    if (due.length === 0) return
    this.#passing = this.#pass(due, signal).catch((thrown: unknown) => {
      if (!signal.aborted) this.#passFailure = { thrown }
    })
    void this.#passing.then(() => {
      this.#passing = null
    })
  }

  #noteGap(index: number): void {
    const lane = this.#lanes[index] as Lane
    lane.gaps += 1
    lane.isWhole = false
    lane.passDueMs = 0
  }

  async #pass(due: readonly number[], signal: AbortSignal): Promise<void> {
    const before = due.map((index) => this.#lanes[index]?.gaps)
    await this.#options.pass(due, signal)
    for (const [at, index] of due.entries()) {
      const lane = this.#lanes[index] as Lane
      if (lane.gaps !== before[at]) continue
      lane.isWhole = true
      lane.passDueMs = Date.now() + passEveryMs
      this.#options.onWhole(index)
    }
  }

  async #copy(keys: readonly DirtyKey[]): Promise<void> {
    const { copiers, laneOf } = this.#options
    this.#inFlight = keys.length
    this.#inFlightMs = Date.now()
    const outcomes = await Promise.allSettled(
      [...Map.groupBy(keys, ({ key }) => laneOf(key))].map(([lane, own]) => copyOf(copiers[lane] as KeyCopier, own)),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason
      this.#totals.bytes += outcome.value
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
    const isWhole = this.#lanes.every((lane) => lane.isWhole)
    return {
      position: position(`copies:${this.#totals.rows}`),
      lagMs: isWhole ? lagMs : Math.max(lagMs, 1_000),
      lagBytes: this.remaining,
      ...this.#totals,
    }
  }
}

async function copyOf(copier: KeyCopier, keys: readonly DirtyKey[]): Promise<number> {
  let bytes = 0
  for (const [db, group] of Map.groupBy(keys, (dirty) => dirty.db)) {
    bytes += await copier.copy(
      db,
      group.map(({ key }) => key),
    )
  }
  return bytes
}
