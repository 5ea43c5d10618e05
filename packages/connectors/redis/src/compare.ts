/**
 * Compares all keys of two sides by an enumeration of its own (SCAN on each), values by what they hold and not by how
 * they are encoded, deadlines by the moment they name. Lanes are compared side by side, and pages of a lane as well;
 * what they hold of values is bounded together, so that memory does not grow with the number of keys or of lanes.
 *
 * While both sides live, what looks different may only be late. Such keys are looked at once more at one point: the
 * follower stands still, the source tells values and offset in one transaction, the follower goes on to exactly that
 * offset, and then the target is looked at.
 */
import { createHash } from 'node:crypto'
import type { CompareResult, Difference, DifferenceKind } from '@replatform/core/difference'
import { ByteBudget } from './byte-budget.ts'
import { isControlKey } from './control-keys.ts'
import { eachAtOnce } from './each-at-once.ts'
import type { KeyLane, KeyLanes } from './key-lanes.ts'
import { type KeyLook, readDeadline } from './key-look.ts'
import { compareLarge } from './large-compare.ts'
import { isSameValue } from './value-digest.ts'

export interface CompareKeysOptions {
  readonly keys: KeyLanes
  readonly signal: AbortSignal | undefined
  /** May make the target's key what was seen of the source's, while the follower stands at that very point. */
  readonly repair?: (db: number, key: Buffer, ours: KeyLook) => Promise<boolean>
  /** Told, and awaited, which keys differ: after each page, and before the results are given. */
  readonly onDifferences?: (db: number, keys: readonly Buffer[]) => Promise<void>
  readonly report:
    | ((progress: { readonly name: string; readonly processed: number; readonly total: number }) => void)
    | undefined
}

const mostSamples = 10
/** Of values that are looked at together. */
const groupBytes = 2 * 1024 * 1024
/** Of values that are held at once on one side, in all. */
const heldBytes = 8 * 1024 * 1024
/** Above it a value is compared in pieces. */
export const largeBytes = 16 * 1024 * 1024
const lanesAtOnce = 4
const pagesAtOnce = 3
const suspectsAtOnce = 200
/** Where the source only tells what is left of a deadline. */
const toleranceMs = 1_000

/** Every database of either side. Each side's keys are enumerated once. */
export async function compareAllKeys(options: CompareKeysOptions): Promise<CompareResult[]> {
  const { lanes, targets, laneOf } = options.keys
  const held = await Promise.all(lanes.map(({ source }) => source.databases()))
  const others = await Promise.all(targets.map((target) => target.databases()))
  const databases = new Set([...held, ...others].flatMap((side) => [...side.keys()]))
  const room = new ByteBudget(heldBytes)
  const results: CompareResult[] = []
  for (const db of [...databases].sort((a, b) => a - b)) {
    const comparisons = lanes.map(
      (lane, index) => new LaneComparison({ ...options, lane, db, total: held[index]?.get(db) ?? 0, room }),
    )
    await eachAtOnce(comparisons, lanesAtOnce, (comparison) => comparison.compareAll())
    await eachAtOnce(targets, lanesAtOnce, (target) =>
      eachAtOnce(target.scan(db, options.signal), pagesAtOnce, async (page) => {
        for (const [lane, keys] of Map.groupBy(page, laneOf)) {
          if (lane !== undefined) await comparisons[lane]?.findExtra(keys)
        }
      }),
    )
    for (const comparison of comparisons) results.push(await comparison.finish())
  }
  return results
}

/** Only the keys that are named; a result for each lane and database that is. */
export async function compareSomeKeys(
  options: CompareKeysOptions,
  changed: readonly { readonly db: number; readonly keys: readonly Buffer[] }[],
): Promise<CompareResult[]> {
  const room = new ByteBudget(heldBytes)
  const results: CompareResult[] = []
  for (const { db, keys } of changed) {
    const byLane = Map.groupBy(keys, options.keys.laneOf)
    const comparisons = options.keys.lanes.map((lane, index) => {
      const own = byLane.get(index) ?? []
      return { own, comparison: new LaneComparison({ ...options, lane, db, total: own.length, room }) }
    })
    await eachAtOnce(comparisons, lanesAtOnce, async ({ own, comparison }) => {
      for (let at = 0; at < own.length; at += 1000) await comparison.compare(own.slice(at, at + 1000))
    })
    for (const { comparison } of comparisons) results.push(await comparison.finish())
  }
  return results
}

type Verdict = DifferenceKind | 'matching' | 'repaired' | 'absent'

interface LaneOptions extends CompareKeysOptions {
  readonly lane: KeyLane
  readonly db: number
  /** Keys that the source is taken to have there. */
  readonly total: number
  readonly room: ByteBudget
}

class LaneComparison {
  readonly #options: LaneOptions
  readonly #db: number
  readonly #counts = { processed: 0, matching: 0, repaired: 0, mismatched: 0, missing: 0, extra: 0 }
  readonly #samples: Difference[] = []
  #suspects: Buffer[] = []
  #untold: Buffer[] = []
  /** Who holds the follower is alone at it. */
  #alone: Promise<unknown> = Promise.resolve()

  constructor(options: LaneOptions) {
    this.#options = options
    this.#db = options.db
  }

  /** All that the source has in the lane. */
  async compareAll(): Promise<void> {
    const { lane, signal } = this.#options
    const pages = lane.source.scan(this.#db, signal)
    await eachAtOnce(pages, lane.follower ? 1 : pagesAtOnce, (page) => this.compare(page))
  }

  async compare(found: readonly Buffer[]): Promise<void> {
    const { lane, total, signal, report } = this.#options
    signal?.throwIfAborted()
    const keys = found.filter((key) => !isControlKey(this.#db, key))
    const sizes = await lane.source.sizes(this.#db, keys)
    await this.#compareGroups(keys, sizes)
    for (const [index, key] of keys.entries()) if ((sizes[index] as number) > largeBytes) await this.#compareLarge(key)
    await this.#tellDifferences()
    const { processed } = this.#counts
    report?.({ name: this.#name, processed, total: Math.max(total, processed) })
  }

  /** Those on the target that the source does not have; what it has was compared by the source's own enumeration. */
  async findExtra(found: readonly Buffer[]): Promise<void> {
    const { source, target } = this.#options.lane
    const keys = found.filter((key) => !isControlKey(this.#db, key))
    const exist = await source.exist(this.#db, keys)
    const gone = keys.filter((_, index) => !exist[index])
    if (gone.length === 0) return
    const sizes = await target.sizes(this.#db, gone)
    await this.#compareGroups(gone, sizes)
    for (const [index, key] of gone.entries()) {
      const size = sizes[index] as number
      if (size > largeBytes) await this.#options.room.hold(size, () => this.#compareGroup([key]))
    }
    await this.#tellDifferences()
  }

  async finish(): Promise<CompareResult> {
    await this.#settleSuspects()
    await this.#tellDifferences()
    const { repaired, ...counts } = this.#counts
    if (repaired > 0) Object.assign(counts, { matching: counts.matching + repaired, repaired })
    return { name: this.#name, ...counts, samples: this.#samples }
  }

  async #compareGroups(keys: readonly Buffer[], sizes: readonly number[]): Promise<void> {
    for (const group of groupBySize(keys, sizes, groupBytes)) {
      await this.#options.room.hold(group.bytes, () => this.#compareGroup(group.keys))
    }
  }

  async #compareGroup(keys: readonly Buffer[]): Promise<void> {
    const { source, target, follower } = this.#options.lane
    const [ours, theirs] = await Promise.all([source.look(this.#db, keys), target.look(this.#db, keys)])
    for (const [index, key] of keys.entries()) {
      const verdict = this.#judge(ours.keys[index] as KeyLook, theirs.keys[index] as KeyLook, ours.nowMs)
      if (follower && isDifference(verdict)) this.#suspects.push(Buffer.from(key))
      else this.#count(verdict, key)
    }
    if (this.#suspects.length >= suspectsAtOnce) await this.#settleSuspects()
  }

  async #settleSuspects(): Promise<void> {
    const suspects = this.#suspects
    this.#suspects = []
    for (let at = 0; at < suspects.length; at += suspectsAtOnce) {
      await this.#lookAgain(suspects.slice(at, at + suspectsAtOnce))
    }
  }

  #lookAgain(keys: readonly Buffer[]): Promise<void> {
    const { repair, lane } = this.#options
    const { source, target, follower } = lane
    return this.#holding(async () => {
      const ours = await source.look(this.#db, keys)
      await follower?.applyUpTo(ours.offset)
      const theirs = await target.look(this.#db, keys)
      for (const [index, key] of keys.entries()) {
        const verdict = this.#judge(ours.keys[index] as KeyLook, theirs.keys[index] as KeyLook, ours.nowMs)
        const isRepaired = isDifference(verdict) && (await repair?.(this.#db, key, ours.keys[index] as KeyLook))
        this.#count(isRepaired ? 'repaired' : verdict, key)
      }
    })
  }

  /** The follower stands still meanwhile, where there is one. */
  #holding(work: () => Promise<void>): Promise<void> {
    const { follower } = this.#options.lane
    if (!follower) return work()
    const held = this.#alone.then(async () => {
      await follower.hold()
      try {
        await work()
      } finally {
        follower.resume()
      }
    })
    this.#alone = held.catch(() => {})
    return held
  }

  /** A key that has lapsed is gone, also where it still lies there and its DEL is on its way. */
  #judge(ours: KeyLook, theirs: KeyLook, sourceNowMs: number): Verdict {
    const hasOurs = ours.payload !== null && !hasLapsed(ours, sourceNowMs)
    const hasTheirs = theirs.payload !== null && !hasLapsed(theirs, sourceNowMs)
    if (!hasOurs) return hasTheirs ? 'extra' : 'absent'
    if (!hasTheirs) return 'missing'
    if (!this.#isSameDeadline(ours.deadlineMs, theirs.deadlineMs)) return 'mismatched'
    return isSameValue(ours.payload as Buffer, theirs.payload as Buffer) ? 'matching' : 'mismatched'
  }

  #isSameDeadline(ours: number | null, theirs: number | null): boolean {
    if (ours === null || theirs === null) return ours === theirs
    return Math.abs(ours - theirs) <= (this.#isExact ? 0 : toleranceMs)
  }

  get #name(): string {
    return this.#options.lane.nameOf(this.#db)
  }

  get #isExact(): boolean {
    const { source, target } = this.#options.lane
    return source.hasDeadlines && target.hasDeadlines
  }

  #compareLarge(key: Buffer): Promise<void> {
    const { source, target, follower } = this.#options.lane
    return this.#holding(async () => {
      const db = this.#db
      const servers = { source: await source.serverOf(db, key), target: await target.serverOf(db, key) }
      const equal =
        (await compareLarge({ ...servers, key, follower })) &&
        this.#isSameDeadline(
          await readDeadline(servers.source, key, source.hasDeadlines),
          await readDeadline(servers.target, key, target.hasDeadlines),
        )
      this.#count(equal ? 'matching' : 'mismatched', key)
    })
  }

  async #tellDifferences(): Promise<void> {
    const { onDifferences } = this.#options
    const untold = this.#untold
    this.#untold = []
    if (untold.length > 0) await onDifferences?.(this.#db, untold)
  }

  #count(verdict: Verdict, key: Buffer): void {
    if (verdict === 'absent') return
    if (isDifference(verdict) && this.#options.onDifferences) this.#untold.push(Buffer.from(key))
    this.#counts[verdict] += 1
    if (verdict !== 'extra') this.#counts.processed += 1
    if (isDifference(verdict) && this.#samples.length < mostSamples) {
      this.#samples.push({ kind: verdict, key: maskKey(key) })
    }
  }
}

function hasLapsed({ deadlineMs }: KeyLook, nowMs: number): boolean {
  return deadlineMs !== null && deadlineMs <= nowMs
}

function isDifference(verdict: Verdict): verdict is DifferenceKind {
  return verdict === 'mismatched' || verdict === 'missing' || verdict === 'extra'
}

/** Groups whose values fit into memory together; those that do not even alone are left out. */
export function* groupBySize(
  keys: readonly Buffer[],
  sizes: readonly number[],
  atOnce: number,
): Generator<{ readonly keys: Buffer[]; readonly bytes: number }> {
  let group: Buffer[] = []
  let bytes = 0
  for (const [index, key] of keys.entries()) {
    const size = sizes[index] as number
    if (size > largeBytes) continue
    if (bytes + size > atOnce && group.length > 0) {
      yield { keys: group, bytes }
      group = []
      bytes = 0
    }
    group.push(key)
    bytes += size
  }
  if (group.length > 0) yield { keys: group, bytes }
}

/** What stands before the first separator is a kind of key; the rest may name a person, and is told by its digest. */
export function maskKey(key: Buffer): string {
  const kind = /^[\w-]{1,40}(?=[:.|/])/.exec(key.toString('latin1'))?.[0] ?? ''
  return `${kind}…${createHash('sha256').update(key).digest('hex').slice(0, 12)}`
}
