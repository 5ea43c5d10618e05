import { unpackLzf } from './lzf.ts'
import { malformedRdb } from './rdb-format.ts'
import { LengthReader, stringEncoding } from './rdb-length.ts'

const lengths = new LengthReader()

/** The string that stands from `start` to `end`, which `skipString` found. A view where it is a plain run of bytes. */
export function readString(bytes: Buffer, start: number, end: number): Buffer {
  const at = lengths.read(bytes, start, end)
  if (at < 0) throw malformedRdb('a string is cut off')
  if (!lengths.isEncoded) return bytes.subarray(at, at + lengths.value)
  switch (lengths.value) {
    case stringEncoding.int8:
      return Buffer.from(String(bytes.readInt8(at)))
    case stringEncoding.int16:
      return Buffer.from(String(bytes.readInt16LE(at)))
    case stringEncoding.int32:
      return Buffer.from(String(bytes.readInt32LE(at)))
    default: {
      const packed = lengths.readPlain(bytes, at, end)
      const from = lengths.readPlain(bytes, packed, end)
      return unpackLzf(bytes.subarray(from, end), lengths.value)
    }
  }
}

/** Reads a value that is all there, piece by piece. Every read throws `redis.rdb-malformed` where the bytes end early. */
export class ValueReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  length(): number {
    const end = lengths.readPlain(this.#bytes, this.#at, this.#bytes.length)
    return this.#took(end, lengths.value)
  }

  wideLength(): bigint {
    const end = lengths.readPlain(this.#bytes, this.#at, this.#bytes.length)
    return this.#took(end, lengths.wide)
  }

  string(): Buffer {
    const end = lengths.skipString(this.#bytes, this.#at, this.#bytes.length)
    if (end < 0) throw malformedRdb('a string is cut off')
    return this.#took(end, readString(this.#bytes, this.#at, end))
  }

  raw(size: number): Buffer {
    const end = this.#at + size
    if (end > this.#bytes.length) throw malformedRdb('a value is cut off')
    return this.#took(end, this.#bytes.subarray(this.#at, end))
  }

  double(): number {
    return this.raw(8).readDoubleLE()
  }

  textDouble(): number {
    const length = this.raw(1)[0] as number
    if (length === 253) return Number.NaN
    if (length === 254) return Number.POSITIVE_INFINITY
    if (length === 255) return Number.NEGATIVE_INFINITY
    return Number(this.raw(length).toString('latin1'))
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  #took<T>(end: number, value: T): T {
    if (end < 0) throw malformedRdb('a value is cut off')
    this.#at = end
    return value
  }
}
