/**
 * Compares all keys of two sides by an enumeration of its own (SCAN on each), values by what they hold and not by how
 * they are encoded, deadlines by the moment they name. Memory does not grow with the number of keys.
 *
 * While both sides live, what looks different may only be late. Such keys are looked at once more at one point: the
 * follower stands still, the source tells values and offset in one transaction, the follower goes on to exactly that
 * offset, and then the target is looked at.
 */
import { createHash } from 'node:crypto'
import type { CompareResult, Difference, DifferenceKind } from '@replatform/core/difference'
import { isControlKey } from './control-keys.ts'
import type { Follower } from './follower.ts'
import { type KeyLook, readDeadline } from './key-look.ts'
import type { KeyReader } from './key-reader.ts'
import { compareLarge } from './large-compare.ts'
import { isSameValue } from './value-digest.ts'

export interface CompareKeysOptions {
  readonly source: KeyReader
  readonly target: KeyReader
  /** What a result is called; `db0`, `db1` … unless said. */
  readonly nameOf?: (db: number) => string
  /** Null where nobody follows: what differs is different. */
  readonly follower: Follower | null
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
const bytesAtOnce = 16 * 1024 * 1024
/** Above it a value is compared in pieces. */
export const largeBytes = 16 * 1024 * 1024
const suspectsAtOnce = 200
/** Where the source only tells what is left of a deadline. */
const toleranceMs = 1_000

/** Every database of either side. */
export async function compareAllKeys(options: CompareKeysOptions): Promise<CompareResult[]> {
  const [sources, targets] = await Promise.all([options.source.databases(), options.target.databases()])
  const databases = [...new Set([...sources.keys(), ...targets.keys()])].sort((a, b) => a - b)
  const results: CompareResult[] = []
  for (const db of databases) {
    const comparison = new DatabaseComparison(options, db, sources.get(db) ?? 0)
    for await (const keys of options.source.scan(db, options.signal)) await comparison.compare(keys)
    for await (const keys of options.target.scan(db, options.signal)) await comparison.findExtra(keys)
    results.push(await comparison.finish())
  }
  return results
}

/** Only the keys that are named. */
export async function compareSomeKeys(
  options: CompareKeysOptions,
  changed: readonly { readonly db: number; readonly keys: readonly Buffer[] }[],
): Promise<CompareResult[]> {
  const results: CompareResult[] = []
  for (const { db, keys } of changed) {
    const comparison = new DatabaseComparison(options, db, keys.length)
    for (let at = 0; at < keys.length; at += 1000) await comparison.compare(keys.slice(at, at + 1000))
    results.push(await comparison.finish())
  }
  return results
}

type Verdict = DifferenceKind | 'matching' | 'repaired' | 'absent'

class DatabaseComparison {
  readonly #options: CompareKeysOptions
  readonly #db: number
  readonly #total: number
  readonly #counts = { processed: 0, matching: 0, repaired: 0, mismatched: 0, missing: 0, extra: 0 }
  readonly #samples: Difference[] = []
  #suspects: Buffer[] = []
  #untold: Buffer[] = []

  constructor(options: CompareKeysOptions, db: number, total: number) {
    this.#options = options
    this.#db = db
    this.#total = total
  }

  async compare(found: readonly Buffer[]): Promise<void> {
    this.#options.signal?.throwIfAborted()
    const keys = found.filter((key) => !isControlKey(this.#db, key))
    const sizes = await this.#options.source.sizes(this.#db, keys)
    for (const group of groupBySize(keys, sizes)) await this.#compareGroup(group)
    for (const [index, key] of keys.entries()) if ((sizes[index] as number) > largeBytes) await this.#compareLarge(key)
    await this.#tellDifferences()
    this.#options.report?.({
      name: this.#name,
      processed: this.#counts.processed,
      total: Math.max(this.#total, this.#counts.processed),
    })
  }

  /** Those on the target that the source does not have; what it has was compared by the source's own enumeration. */
  async findExtra(found: readonly Buffer[]): Promise<void> {
    const keys = found.filter((key) => !isControlKey(this.#db, key))
    const exist = await this.#options.source.exist(this.#db, keys)
    const gone = keys.filter((_, index) => !exist[index])
    if (gone.length > 0) await this.#compareGroup(gone)
    await this.#tellDifferences()
  }

  async finish(): Promise<CompareResult> {
    await this.#settleSuspects()
    await this.#tellDifferences()
    const { repaired, ...counts } = this.#counts
    if (repaired > 0) Object.assign(counts, { matching: counts.matching + repaired, repaired })
    return { name: this.#name, ...counts, samples: this.#samples }
  }

  async #compareGroup(keys: readonly Buffer[]): Promise<void> {
    const { source, target, follower } = this.#options
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

  async #lookAgain(keys: readonly Buffer[]): Promise<void> {
    const { source, target, follower, repair } = this.#options
    await follower?.hold()
    try {
      const ours = await source.look(this.#db, keys)
      await follower?.applyUpTo(ours.offset)
      const theirs = await target.look(this.#db, keys)
      for (const [index, key] of keys.entries()) {
        const verdict = this.#judge(ours.keys[index] as KeyLook, theirs.keys[index] as KeyLook, ours.nowMs)
        const isRepaired = isDifference(verdict) && (await repair?.(this.#db, key, ours.keys[index] as KeyLook))
        this.#count(isRepaired ? 'repaired' : verdict, key)
      }
    } finally {
      follower?.resume()
    }
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
    return this.#options.nameOf?.(this.#db) ?? `db${this.#db}`
  }

  get #isExact(): boolean {
    return this.#options.source.hasDeadlines && this.#options.target.hasDeadlines
  }

  async #compareLarge(key: Buffer): Promise<void> {
    const { source, target, follower } = this.#options
    await follower?.hold()
    try {
      const db = this.#db
      const servers = { source: await source.serverOf(db, key), target: await target.serverOf(db, key) }
      const equal =
        (await compareLarge({ ...servers, key, follower })) &&
        this.#isSameDeadline(
          await readDeadline(servers.source, key, source.hasDeadlines),
          await readDeadline(servers.target, key, target.hasDeadlines),
        )
      this.#count(equal ? 'matching' : 'mismatched', key)
    } finally {
      follower?.resume()
    }
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
  atOnce = bytesAtOnce,
): Generator<Buffer[]> {
  let group: Buffer[] = []
  let bytes = 0
  for (const [index, key] of keys.entries()) {
    const size = sizes[index] as number
    if (size > largeBytes) continue
    if (bytes + size > atOnce && group.length > 0) {
      yield group
      group = []
      bytes = 0
    }
    group.push(key)
    bytes += size
  }
  if (group.length > 0) yield group
}

/** What stands before the first separator is a kind of key; the rest may name a person, and is told by its digest. */
export function maskKey(key: Buffer): string {
  const kind = /^[\w-]{1,40}(?=[:.|/])/.exec(key.toString('latin1'))?.[0] ?? ''
  return `${kind}…${createHash('sha256').update(key).digest('hex').slice(0, 12)}`
}
