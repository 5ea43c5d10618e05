/** Takes a value apart that is too large to be held: pieces of it become arguments of native commands. */
import { LzfStream } from './lzf.ts'
import { listpackElements, ziplistElements } from './packed-lists.ts'
import { malformedRdb, unsupportedValue, valueType } from './rdb-format.ts'
import { LengthReader, stringEncoding } from './rdb-length.ts'
import { ValueReader } from './rdb-string.ts'

export interface ValuePart {
  readonly verb: 'APPEND' | 'RPUSH' | 'SADD' | 'HSET' | 'ZADD'
  /** What follows the key. */
  readonly args: readonly Buffer[]
  readonly isLast: boolean
}

interface Taken {
  /** Undefined until more is there. */
  readonly part: ValuePart | undefined
  readonly used: number
}

const partBytes = 512 * 1024
const partElements = 2_000

/** What reads one element of a type, and the command that adds it. */
interface Kind {
  readonly verb: ValuePart['verb']
  /** Whether the element at `at` is all there: where it ends, or -1. */
  readonly end: (lengths: LengthReader, bytes: Buffer, at: number, end: number) => number
  readonly read: (reader: ValueReader) => Buffer[]
}

const stringEnd: Kind['end'] = (lengths, bytes, at, end) => lengths.skipString(bytes, at, end)

const kinds: Readonly<Record<number, Kind>> = {
  [valueType.list]: { verb: 'RPUSH', end: stringEnd, read: (reader) => [reader.string()] },
  [valueType.set]: { verb: 'SADD', end: stringEnd, read: (reader) => [reader.string()] },
  [valueType.hash]: {
    verb: 'HSET',
    end: (lengths, bytes, at, end) => {
      const value = lengths.skipString(bytes, at, end)
      return value < 0 ? -1 : lengths.skipString(bytes, value, end)
    },
    read: (reader) => [reader.string(), reader.string()],
  },
  [valueType.zset2]: {
    verb: 'ZADD',
    end: (lengths, bytes, at, end) => {
      const score = lengths.skipString(bytes, at, end)
      return score < 0 || score + 8 > end ? -1 : score + 8
    },
    read: (reader) => {
      const member = reader.string()
      return [formatScore(reader.double()), member]
    },
  },
  [valueType.listQuicklist]: { verb: 'RPUSH', end: stringEnd, read: (reader) => ziplistElements(reader.string()) },
  [valueType.listQuicklist2]: {
    verb: 'RPUSH',
    end: (lengths, bytes, at, end) => {
      const node = lengths.readPlain(bytes, at, end)
      return node < 0 ? -1 : lengths.skipString(bytes, node, end)
    },
    read: (reader) => (reader.length() === 1 ? [reader.string()] : listpackElements(reader.string())),
  },
}

export function canBeParted(type: number): boolean {
  return type === valueType.string || type in kinds
}

/** As Redis reads it back without a loss. */
export function formatScore(score: number): Buffer {
  if (Number.isNaN(score)) throw malformedRdb('a score is no number')
  if (Number.isFinite(score)) return Buffer.from(Object.is(score, -0) ? '-0' : String(score))
  return Buffer.from(score > 0 ? 'inf' : '-inf')
}

export class ValueParts {
  readonly #take: (bytes: Buffer, start: number, end: number) => Taken

  constructor(type: number) {
    const kind = kinds[type]
    if (!kind && type !== valueType.string) throw unsupportedValue(type)
    const parts = kind ? new ElementParts(kind) : new StringParts()
    this.#take = (bytes, start, end) => parts.take(bytes, start, end)
  }

  /** The buffers of a part are views of `bytes`, or copies. */
  take(bytes: Buffer, start: number, end: number): Taken {
    return this.#take(bytes, start, end)
  }
}

class ElementParts {
  readonly #kind: Kind
  readonly #lengths = new LengthReader()
  #left: number | null = null

  constructor(kind: Kind) {
    this.#kind = kind
  }

  take(bytes: Buffer, start: number, end: number): Taken {
    const first = this.#begin(bytes, start, end)
    if (first < 0) return { part: undefined, used: 0 }
    const args: Buffer[] = []
    let at = first
    while ((this.#left as number) > 0 && at - first < partBytes && args.length < partElements) {
      const next = this.#kind.end(this.#lengths, bytes, at, end)
      if (next < 0) break
      for (const arg of this.#kind.read(new ValueReader(bytes.subarray(at, next)))) args.push(arg)
      this.#left = (this.#left as number) - 1
      at = next
    }
    if (args.length === 0) {
      if (this.#left === 0) throw malformedRdb('a large value holds nothing')
      return { part: undefined, used: at - start }
    }
    return { part: { verb: this.#kind.verb, args, isLast: this.#left === 0 }, used: at - start }
  }

  #begin(bytes: Buffer, start: number, end: number): number {
    if (this.#left !== null) return start
    const at = this.#lengths.readPlain(bytes, start, end)
    if (at >= 0) this.#left = this.#lengths.value
    return at
  }
}

class StringParts {
  readonly #lengths = new LengthReader()
  #left: number | null = null
  #unpack: { readonly stream: LzfStream; plainLeft: number } | null = null

  take(bytes: Buffer, start: number, end: number): Taken {
    const at = this.#begin(bytes, start, end)
    if (at < 0) return { part: undefined, used: 0 }
    const available = Math.min(end, at + (this.#left as number))
    const { used, piece } = this.#unpack
      ? this.#unpack.stream.take(bytes, at, available)
      : { used: Math.min(available - at, partBytes), piece: bytes.subarray(at, Math.min(available, at + partBytes)) }
    this.#left = (this.#left as number) - used
    const isLast = this.#isLast(piece.length)
    if (piece.length === 0) {
      if (available - at >= 264 || this.#left === 0) throw malformedRdb('a packed string is damaged')
      return { part: undefined, used: at + used - start }
    }
    return { part: { verb: 'APPEND', args: [piece], isLast }, used: at + used - start }
  }

  #isLast(pieceBytes: number): boolean {
    const isLast = this.#left === 0
    if (!this.#unpack) return isLast
    this.#unpack.plainLeft -= pieceBytes
    if (this.#unpack.plainLeft < 0 || isLast !== (this.#unpack.plainLeft === 0)) {
      throw malformedRdb('a packed string is damaged')
    }
    return isLast
  }

  #begin(bytes: Buffer, start: number, end: number): number {
    if (this.#left !== null) return start
    const at = this.#lengths.read(bytes, start, end)
    if (at < 0) return -1
    if (!this.#lengths.isEncoded) {
      this.#left = this.#lengths.value
      return at
    }
    if (this.#lengths.value !== stringEncoding.lzf) throw malformedRdb('a number is no large string')
    const afterPacked = this.#lengths.readPlain(bytes, at, end)
    const packed = this.#lengths.value
    const afterPlain = afterPacked < 0 ? -1 : this.#lengths.readPlain(bytes, afterPacked, end)
    if (afterPlain < 0) return -1
    this.#left = packed
    this.#unpack = { stream: new LzfStream(partBytes), plainLeft: this.#lengths.value }
    return afterPlain
  }
}
