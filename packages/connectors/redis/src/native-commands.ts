/** A value as the commands that build it, where the target is older than the bytes of its RDB encoding. */
import type { Argument, CommandBuffer } from './command-buffer.ts'
import { type DecodedValue, decodeValue } from './rdb-elements.ts'
import type { PendingEntry, StreamGroup, StreamId, StreamValue } from './rdb-stream.ts'

const elementsAtOnce = 1_000
const verbs = { list: 'RPUSH', set: 'SADD', hash: 'HSET', zset: 'ZADD' } as const

/** In the order in which they must be carried out. The key must not exist before. */
export function* nativeCommands(key: Buffer, type: number, value: Buffer): Generator<readonly Argument[]> {
  const decoded = decodeValue(type, value)
  if (decoded.kind === 'stream') yield* streamCommands(key, decoded.stream)
  else yield* elementCommands(key, decoded)
}

function* elementCommands(
  key: Buffer,
  { kind, elements }: Exclude<DecodedValue, { kind: 'stream' }>,
): Generator<readonly Argument[]> {
  if (kind === 'string') {
    yield ['SET', key, elements[0] as Buffer]
    return
  }
  for (let at = 0; at < elements.length; at += elementsAtOnce) {
    yield [verbs[kind], key, ...elements.slice(at, at + elementsAtOnce)]
  }
}

/**
 * An entry that was deleted may still be pending with a consumer, and XCLAIM takes none that is not there: such entries
 * stand there while the groups are made.
 */
function* streamCommands(key: Buffer, stream: StreamValue): Generator<readonly Argument[]> {
  const gone = pendingOfNothing(stream)
  const standIns = gone.map((id) => ({ id, fields: [Buffer.of(), Buffer.of()] }))
  const entries = gone.length === 0 ? stream.entries : [...stream.entries, ...standIns].sort(byId)
  for (const { id, fields } of entries) yield ['XADD', key, id, ...fields]
  if (entries.length === 0) {
    // A stream without entries cannot be made by XADD alone.
    yield ['XADD', key, 'MAXLEN', 0, stream.lastId === '0-0' ? '0-1' : stream.lastId, 'x', 'y']
  }
  for (const group of stream.groups) yield* groupCommands(key, group)
  for (let at = 0; at < gone.length; at += elementsAtOnce) yield ['XDEL', key, ...gone.slice(at, at + elementsAtOnce)]
  const counts =
    stream.entriesAdded === null
      ? []
      : ['ENTRIESADDED', String(stream.entriesAdded), 'MAXDELETEDID', stream.maxDeletedId]
  yield ['XSETID', key, stream.lastId, ...counts]
}

function pendingOfNothing({ entries, groups }: StreamValue): StreamId[] {
  const there = new Set(entries.map(({ id }) => id))
  const pending = new Set(groups.flatMap((group) => group.pending.map(({ id }) => id)))
  return [...pending].filter((id) => !there.has(id))
}

export function byId(a: { readonly id: StreamId }, b: { readonly id: StreamId }): number {
  const [aMs = 0n, aSeq = 0n] = a.id.split('-').map(BigInt)
  const [bMs = 0n, bSeq = 0n] = b.id.split('-').map(BigInt)
  if (aMs !== bMs) return aMs < bMs ? -1 : 1
  return aSeq < bSeq ? -1 : 1
}

function* groupCommands(key: Buffer, group: StreamGroup): Generator<readonly Argument[]> {
  yield* groupHeadCommands(key, group)
  yield* pendingCommands(key, group.name, group.pending)
}

export function* groupHeadCommands(
  key: Buffer,
  { name, lastId, entriesRead, consumers }: Omit<StreamGroup, 'pending'>,
): Generator<readonly Argument[]> {
  const read = entriesRead === null ? [] : ['ENTRIESREAD', String(entriesRead)]
  yield ['XGROUP', 'CREATE', key, name, lastId, ...read]
  for (const consumer of consumers) yield ['XGROUP', 'CREATECONSUMER', key, name, consumer]
}

/** The entries must be there, or stand-ins for them. */
export function* pendingCommands(
  key: Buffer,
  group: Buffer,
  pending: readonly PendingEntry[],
): Generator<readonly Argument[]> {
  for (const { id, consumer, deliveredAtMs, deliveries } of pending) {
    const state = ['TIME', String(deliveredAtMs), 'RETRYCOUNT', deliveries, 'FORCE', 'JUSTID']
    yield ['XCLAIM', key, group, consumer, 0, id, ...state]
  }
}

/** Appends them all. */
export function addNative(buffer: CommandBuffer, key: Buffer, type: number, value: Buffer): void {
  for (const command of nativeCommands(key, type, value)) buffer.add(command)
}
