/** Decodes a value whole, whatever its encoding: for comparing two encodings of one value, and for native commands. */
import { intsetElements, listpackElements, ziplistElements, zipmapElements } from './packed-lists.ts'
import { malformedRdb, unsupportedValue, valueType } from './rdb-format.ts'
import { formatScore } from './rdb-parts.ts'
import { decodeStream, type StreamValue } from './rdb-stream.ts'
import { ValueReader } from './rdb-string.ts'

/** Elements as they would stand in a command: fields and values in turn, scores before members. */
export type DecodedValue =
  | { readonly kind: 'string' | 'list' | 'set' | 'hash' | 'zset'; readonly elements: readonly Buffer[] }
  | { readonly kind: 'stream'; readonly stream: StreamValue }

/** `value` as it stands in an RDB after the key. Throws `redis.rdb-malformed` or `redis.module-value`. */
export function decodeValue(type: number, value: Buffer): DecodedValue {
  const reader = new ValueReader(value)
  switch (type) {
    case valueType.string:
      return { kind: 'string', elements: [reader.string()] }
    case valueType.list:
      return { kind: 'list', elements: counted(reader, () => [reader.string()]) }
    case valueType.listZiplist:
      return { kind: 'list', elements: ziplistElements(reader.string()) }
    case valueType.listQuicklist:
      return { kind: 'list', elements: counted(reader, () => ziplistElements(reader.string())) }
    case valueType.listQuicklist2:
      return {
        kind: 'list',
        elements: counted(reader, () =>
          reader.length() === 1 ? [reader.string()] : listpackElements(reader.string()),
        ),
      }
    case valueType.set:
      return { kind: 'set', elements: counted(reader, () => [reader.string()]) }
    case valueType.setIntset:
      return { kind: 'set', elements: intsetElements(reader.string()) }
    case valueType.setListpack:
      return { kind: 'set', elements: listpackElements(reader.string()) }
    case valueType.hash:
      return { kind: 'hash', elements: counted(reader, () => [reader.string(), reader.string()]) }
    case valueType.hashZipmap:
      return { kind: 'hash', elements: pairs(zipmapElements(reader.string())) }
    case valueType.hashZiplist:
      return { kind: 'hash', elements: pairs(ziplistElements(reader.string())) }
    case valueType.hashListpack:
      return { kind: 'hash', elements: pairs(listpackElements(reader.string())) }
    case valueType.zset:
      return { kind: 'zset', elements: counted(reader, () => scored(reader.string(), reader.textDouble())) }
    case valueType.zset2:
      return { kind: 'zset', elements: counted(reader, () => scored(reader.string(), reader.double())) }
    case valueType.zsetZiplist:
      return { kind: 'zset', elements: packedScores(ziplistElements(reader.string())) }
    case valueType.zsetListpack:
      return { kind: 'zset', elements: packedScores(listpackElements(reader.string())) }
    case valueType.streamListpacks:
      return { kind: 'stream', stream: decodeStream(reader, 1) }
    case valueType.streamListpacks2:
      return { kind: 'stream', stream: decodeStream(reader, 2) }
    case valueType.streamListpacks3:
      return { kind: 'stream', stream: decodeStream(reader, 3) }
    default:
      throw unsupportedValue(type)
  }
}

function counted(reader: ValueReader, read: () => readonly Buffer[]): Buffer[] {
  const elements: Buffer[] = []
  for (let left = reader.length(); left > 0; left--) {
    for (const element of read()) elements.push(element)
  }
  return elements
}

function scored(member: Buffer, score: number): readonly Buffer[] {
  return [formatScore(score), member]
}

/** Member and score in turn; a score is text there, of which one number may have several. */
function packedScores(elements: readonly Buffer[]): Buffer[] {
  return pairs(elements).map((_, index) =>
    index % 2 === 0
      ? formatScore(parseScore((elements[index + 1] as Buffer).toString('latin1')))
      : (elements[index - 1] as Buffer),
  )
}

function parseScore(text: string): number {
  if (text === 'inf' || text === '+inf') return Number.POSITIVE_INFINITY
  return text === '-inf' ? Number.NEGATIVE_INFINITY : Number(text)
}

function pairs<T>(elements: T[] | readonly T[]): T[] {
  if (elements.length % 2 !== 0) throw malformedRdb('a packed list of pairs has an odd element')
  return elements as T[]
}
