/** A value as the commands that build it, where the target is older than the bytes of its RDB encoding. */
import type { Argument, CommandBuffer } from './command-buffer.ts'
import { type DecodedValue, decodeValue } from './rdb-elements.ts'
import type { StreamGroup, StreamValue } from './rdb-stream.ts'

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

function* streamCommands(key: Buffer, stream: StreamValue): Generator<readonly Argument[]> {
  for (const { id, fields } of stream.entries) yield ['XADD', key, id, ...fields]
  if (stream.entries.length === 0) {
    // A stream without entries cannot be made by XADD alone.
    yield ['XADD', key, 'MAXLEN', 0, stream.lastId === '0-0' ? '0-1' : stream.lastId, 'x', 'y']
  }
  const counts =
    stream.entriesAdded === null
      ? []
      : ['ENTRIESADDED', String(stream.entriesAdded), 'MAXDELETEDID', stream.maxDeletedId]
  yield ['XSETID', key, stream.lastId, ...counts]
  for (const group of stream.groups) yield* groupCommands(key, group)
}

function* groupCommands(key: Buffer, group: StreamGroup): Generator<readonly Argument[]> {
  const read = group.entriesRead === null ? [] : ['ENTRIESREAD', String(group.entriesRead)]
  yield ['XGROUP', 'CREATE', key, group.name, group.lastId, ...read]
  for (const consumer of group.consumers) yield ['XGROUP', 'CREATECONSUMER', key, group.name, consumer]
  for (const { id, consumer, deliveredAtMs, deliveries } of group.pending) {
    const state = ['TIME', String(deliveredAtMs), 'RETRYCOUNT', deliveries, 'FORCE', 'JUSTID']
    yield ['XCLAIM', key, group.name, consumer, 0, id, ...state]
  }
}

/** Appends them all. */
export function addNative(buffer: CommandBuffer, key: Buffer, type: number, value: Buffer): void {
  for (const command of nativeCommands(key, type, value)) buffer.add(command)
}
