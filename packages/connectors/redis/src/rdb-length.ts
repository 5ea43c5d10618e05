/** Lengths and strings as RDB writes them; reads nothing that is not there yet. */
import { malformedRdb } from './rdb-format.ts'

/** Encodings of a string that is no plain run of bytes. */
export const stringEncoding = { int8: 0, int16: 1, int32: 2, lzf: 3 } as const

/** Reads one length at a time; its fields are the answer, so that no object is made for it. */
export class LengthReader {
  /** The length, or the encoding where `isEncoded`. */
  value = 0
  isEncoded = false
  /** The same in all its 64 bits, for what is a number and not a length. */
  get wide(): bigint {
    return this.#high === 0 ? BigInt(this.value) : (BigInt(this.#high) << 32n) | BigInt(this.#low)
  }

  #high = 0
  #low = 0

  /** Where the length ends, or -1 when it is not all there. */
  read(bytes: Buffer, at: number, end: number): number {
    if (at >= end) return -1
    const first = bytes[at] as number
    this.isEncoded = false
    this.#high = 0
    switch (first >> 6) {
      case 0:
        this.value = first
        return at + 1
      case 1:
        if (at + 2 > end) return -1
        this.value = ((first & 63) << 8) | (bytes[at + 1] as number)
        return at + 2
      case 2:
        return this.#wide(first, bytes, at, end)
      default:
        this.isEncoded = true
        this.value = first & 63
        return at + 1
    }
  }

  /** As `read`, for a place where an encoding means damage. */
  readPlain(bytes: Buffer, at: number, end: number): number {
    const next = this.read(bytes, at, end)
    if (next >= 0 && this.isEncoded) throw malformedRdb('a length is written as an encoding')
    return next
  }

  /** Where the string at `at` ends, or -1 when it is not all there. */
  skipString(bytes: Buffer, at: number, end: number): number {
    const next = this.read(bytes, at, end)
    if (next < 0) return -1
    const size = this.isEncoded ? this.#encodedSize(bytes, next, end) : next + this.value
    return size < 0 || size > end ? -1 : size
  }

  #encodedSize(bytes: Buffer, at: number, end: number): number {
    switch (this.value) {
      case stringEncoding.int8:
        return at + 1
      case stringEncoding.int16:
        return at + 2
      case stringEncoding.int32:
        return at + 4
      case stringEncoding.lzf: {
        const afterPacked = this.readPlain(bytes, at, end)
        if (afterPacked < 0) return -1
        const packed = this.value
        const afterPlain = this.readPlain(bytes, afterPacked, end)
        return afterPlain < 0 ? -1 : afterPlain + packed
      }
      default:
        throw malformedRdb('a string has an unknown encoding')
    }
  }

  #wide(first: number, bytes: Buffer, at: number, end: number): number {
    if (first === 0x80) {
      if (at + 5 > end) return -1
      this.value = bytes.readUInt32BE(at + 1)
      return at + 5
    }
    if (first !== 0x81) throw malformedRdb('a length has an unknown form')
    if (at + 9 > end) return -1
    this.#high = bytes.readUInt32BE(at + 1)
    this.#low = bytes.readUInt32BE(at + 5)
    this.value = this.#high * 4_294_967_296 + this.#low
    return at + 9
  }
}
