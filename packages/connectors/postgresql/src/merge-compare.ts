import type { DifferenceKind } from '@replatform/core/difference'
import type { KeyOrder } from './compare-plan.ts'
import type { RowStream } from './row-stream.ts'

export interface Tally {
  processed: number
  matching: number
  mismatched: number
  missing: number
  extra: number
  /** The first differences, with their keys. */
  readonly samples: RawSample[]
}

export interface RawSample {
  readonly kind: DifferenceKind
  /** The key's fields, in binary or as text; without a key the digest. */
  readonly key: readonly (Buffer | string)[]
}

export const mostSamples = 10

export function emptyTally(): Tally {
  return { processed: 0, matching: 0, mismatched: 0, missing: 0, extra: 0, samples: [] }
}

export interface MergeOptions {
  readonly source: RowStream
  readonly target: RowStream
  /** Of the leading fields; none without a key: rows are then ordered by the one field that they have, a digest. */
  readonly orders: readonly KeyOrder[]
  readonly onProgress?: ((processed: number) => void) | undefined
  /** Now and then: so many rows came before the current one, which stands on both sides, and all of them were equal. */
  readonly onEqual?: ((rows: number) => void) | undefined
}

const progressEvery = 50_000
/** Where rows differ, so many are looked at one by one before whole blocks are held against each other again. */
const singlesAtLeast = 64

/**
 * Walks both sides in their common order. Rows with equal keys pair off one by one, so a key that stands twice on one
 * side, and a row that stands twice in a table without a key, is found by count. Runs of rows that are the same bytes
 * on both sides, which is nearly all of them, pair off as blocks.
 */
export async function mergeCompare({ source, target, orders, onProgress, onEqual }: MergeOptions): Promise<Tally> {
  const tally = emptyTally()
  let reportAt = progressEvery
  let blocksFrom = 0
  let markAt = progressEvery
  if (!source.next()) await source.refill()
  if (!target.next()) await target.refill()
  while (source.hasRow || target.hasRow) {
    const order = compareRows(source, target, orders)
    if (tally.processed >= markAt && order === 0) {
      if (tally.matching === tally.processed && tally.extra === 0) onEqual?.(tally.processed)
      markAt = tally.processed + progressEvery
    }
    if (order === 0 && equalRest(source, target)) {
      tally.matching += 1
      if (tally.processed >= blocksFrom) {
        const passed = source.passSame(target)
        tally.matching += passed
        tally.processed += passed
        if (passed === 0) blocksFrom = tally.processed + singlesAtLeast
      }
    } else note(tally, order, order > 0 ? target : source, orders.length)
    if (order <= 0) {
      tally.processed += 1
      if (tally.processed >= reportAt) {
        onProgress?.(tally.processed)
        reportAt = tally.processed + progressEvery
      }
      if (!source.next()) await source.refill()
    }
    if (order >= 0 && !target.next()) await target.refill()
  }
  await Promise.all([source.finish(), target.finish()])
  onProgress?.(tally.processed)
  return tally
}

function note(tally: Tally, order: number, row: RowStream, keyFields: number): void {
  const kind = order === 0 ? 'mismatched' : order < 0 ? 'missing' : 'extra'
  tally[kind] += 1
  if (tally.samples.length >= mostSamples) return
  const fields = keyFields === 0 ? [0] : Array.from({ length: keyFields }, (_, i) => i)
  tally.samples.push({ kind, key: fields.map((i) => Buffer.from(field(row, i))) })
}

/** A side that has ended comes after every row. */
function compareRows(a: RowStream, b: RowStream, orders: readonly KeyOrder[]): number {
  if (!a.hasRow) return 1
  if (!b.hasRow) return -1
  if (orders.length === 0) return compareBytes(a, b, 0)
  for (let i = 0; i < orders.length; i++) {
    const order = compareField(a, b, i, orders[i] === 'signed')
    if (order !== 0) return order
  }
  return 0
}

/** Nulls come last, as ORDER BY puts them: a target without its constraints may hold some. */
function compareField(a: RowStream, b: RowStream, i: number, isSigned: boolean): number {
  const [aLength, bLength] = [a.lengths[i] as number, b.lengths[i] as number]
  if (aLength < 0 || bLength < 0) return Math.sign(bLength < 0 ? (aLength < 0 ? 0 : -1) : 1)
  if (isSigned) {
    // In two's complement only the first byte's top bit has another weight than in plain bytes.
    const aFirst = a.bytes.readInt8(a.starts[i])
    const bFirst = b.bytes.readInt8(b.starts[i])
    if (aFirst !== bFirst) return aFirst < bFirst ? -1 : 1
  }
  return compareBytes(a, b, i)
}

/** Most keys differ, if at all, in bytes that a short loop reaches sooner than a call into the runtime would begin. */
function compareBytes(a: RowStream, b: RowStream, i: number): number {
  const [aLength, bLength] = [a.lengths[i] as number, b.lengths[i] as number]
  const [aStart, bStart] = [a.starts[i] as number, b.starts[i] as number]
  const length = Math.min(aLength, bLength)
  for (let n = 0; n < length; n++) {
    const difference = (a.bytes[aStart + n] as number) - (b.bytes[bStart + n] as number)
    if (difference !== 0) return difference
  }
  return aLength - bLength
}

function equalRest(a: RowStream, b: RowStream): boolean {
  const length = a.restEnd - a.restStart
  if (length !== b.restEnd - b.restStart) return false
  return a.bytes.compare(b.bytes, b.restStart, b.restEnd, a.restStart, a.restEnd) === 0
}

function field(row: RowStream, i: number): Buffer {
  const start = row.starts[i] as number
  return row.bytes.subarray(start, start + Math.max(row.lengths[i] as number, 0))
}
