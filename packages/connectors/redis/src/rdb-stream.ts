/** Streams with their groups, consumers and pending entries, as RDB writes them. */
import { listpackElements } from './packed-lists.ts'
import { malformedRdb } from './rdb-format.ts'
import type { ValueReader } from './rdb-string.ts'

/** An id as Redis writes it: `1700000000000-3`. */
export type StreamId = string

export interface StreamValue {
  readonly entries: readonly { readonly id: StreamId; readonly fields: readonly Buffer[] }[]
  readonly lastId: StreamId
  readonly maxDeletedId: StreamId
  /** Null where the source is older than 7.0 and does not count. */
  readonly entriesAdded: bigint | null
  readonly groups: readonly StreamGroup[]
}

export interface StreamGroup {
  readonly name: Buffer
  readonly lastId: StreamId
  readonly entriesRead: bigint | null
  readonly pending: readonly PendingEntry[]
  readonly consumers: readonly Buffer[]
}

export interface PendingEntry {
  readonly id: StreamId
  readonly deliveredAtMs: bigint
  readonly deliveries: number
  readonly consumer: Buffer
}

/** Versions are those of the type: 1, 2 (Redis 7.0), 3 (Redis 7.2). */
export function decodeStream(reader: ValueReader, version: number): StreamValue {
  const entries: { id: StreamId; fields: readonly Buffer[] }[] = []
  for (let left = reader.length(); left > 0; left--) {
    const base = reader.string()
    if (base.length !== 16) throw malformedRdb('a node of a stream has no id')
    addEntries(entries, base, listpackElements(reader.string()))
  }
  reader.length()
  const lastId = id(reader)
  const first = version >= 2 ? id(reader) : null
  const maxDeletedId = first === null ? '0-0' : id(reader)
  const entriesAdded = first === null ? null : reader.wideLength()
  const groups: StreamGroup[] = []
  for (let left = reader.length(); left > 0; left--) groups.push(group(reader, version))
  return { entries, lastId, maxDeletedId, entriesAdded, groups }
}

/**
 * A node: counts and the field names of its first entry, then each entry with its flags and the difference of its id.
 * Entries that were deleted stay, flagged.
 */
function addEntries(
  entries: { id: StreamId; fields: readonly Buffer[] }[],
  base: Buffer,
  elements: readonly Buffer[],
): void {
  const [baseMs, baseSeq] = [base.readBigUInt64BE(0), base.readBigUInt64BE(8)]
  let at = 0
  const next = () => {
    const element = elements[at++]
    if (!element) throw malformedRdb('a node of a stream is cut off')
    return element
  }
  const number = () => Number(next().toString('latin1'))
  const total = number() + number()
  const names = Array.from({ length: bounded(number(), elements) }, next)
  next()
  for (let index = 0; index < total; index++) {
    const flags = number()
    const [ms, seq] = [BigInt.asUintN(64, baseMs + big(next())), BigInt.asUintN(64, baseSeq + big(next()))]
    const fields: Buffer[] = []
    if (flags & 2) for (const name of names) fields.push(name, next())
    else for (let left = bounded(number(), elements); left > 0; left--) fields.push(next(), next())
    next()
    if (!(flags & 1)) entries.push({ id: `${ms}-${seq}`, fields })
  }
}

function group(reader: ValueReader, version: number): StreamGroup {
  const name = reader.string()
  const lastId = id(reader)
  const entriesRead = version >= 2 ? BigInt.asIntN(64, reader.wideLength()) : null
  const deliveries = new Map<StreamId, { deliveredAtMs: bigint; deliveries: number }>()
  for (let left = reader.length(); left > 0; left--) {
    const entry = rawId(reader)
    deliveries.set(entry, { deliveredAtMs: reader.raw(8).readBigInt64LE(), deliveries: reader.length() })
  }
  const consumers: Buffer[] = []
  const pending: PendingEntry[] = []
  for (let left = reader.length(); left > 0; left--) {
    const consumer = reader.string()
    reader.raw(version >= 3 ? 16 : 8)
    consumers.push(consumer)
    for (let owned = reader.length(); owned > 0; owned--) {
      const entry = rawId(reader)
      const delivered = deliveries.get(entry)
      if (!delivered) throw malformedRdb('a consumer owns an entry that its group does not know')
      pending.push({ id: entry, ...delivered, consumer })
    }
  }
  return { name, lastId, entriesRead, pending, consumers }
}

function id(reader: ValueReader): StreamId {
  return `${reader.wideLength()}-${reader.wideLength()}`
}

function rawId(reader: ValueReader): StreamId {
  const raw = reader.raw(16)
  return `${raw.readBigUInt64BE(0)}-${raw.readBigUInt64BE(8)}`
}

function big(element: Buffer): bigint {
  const text = element.toString('latin1')
  if (!/^-?\d{1,20}$/.test(text)) throw malformedRdb('a stream holds an id that is no number')
  return BigInt(text)
}

function bounded(count: number, elements: readonly Buffer[]): number {
  if (!(count >= 0 && count <= elements.length)) throw malformedRdb('a node of a stream claims too many fields')
  return count
}
