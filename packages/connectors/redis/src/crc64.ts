/**
 * CRC-64 as Redis uses it (Jones' polynomial, reflected, starting at zero): eight bytes a step, in two halves of 32
 * bits, since 64-bit integers of JavaScript are some fifty times slower. Signed halves stay small integers to V8.
 */

const polynomialHigh = 0x95ac9329 | 0
const polynomialLow = 0xac4bc9b5 | 0

/** At 256 × k + byte: what a byte does to the checksum when k bytes follow it. */
const low = new Int32Array(2048)
const high = new Int32Array(2048)
fillTables()

export class Crc64 {
  #low = 0
  #high = 0

  reset(): void {
    this.#low = 0
    this.#high = 0
  }

  updateByte(byte: number): void {
    const index = (this.#low ^ byte) & 255
    this.#low = ((this.#low >>> 8) | (this.#high << 24)) ^ (low[index] as number)
    this.#high = (this.#high >>> 8) ^ (high[index] as number)
  }

  update(bytes: Uint8Array, start = 0, end = bytes.length): void {
    let lo = this.#low
    let hi = this.#high
    let at = start
    for (const last = end - 8; at <= last; at += 8) {
      lo ^= word(bytes, at)
      hi ^= word(bytes, at + 4)
      const a = 1792 + (lo & 255)
      const b = 1536 + ((lo >>> 8) & 255)
      const c = 1280 + ((lo >>> 16) & 255)
      const d = 1024 + (lo >>> 24)
      const e = 768 + (hi & 255)
      const f = 512 + ((hi >>> 8) & 255)
      const g = 256 + ((hi >>> 16) & 255)
      const h = hi >>> 24
      lo = fold(low, a, b, c, d) ^ fold(low, e, f, g, h)
      hi = fold(high, a, b, c, d) ^ fold(high, e, f, g, h)
    }
    for (; at < end; at++) {
      const index = (lo ^ (bytes[at] as number)) & 255
      lo = ((lo >>> 8) | (hi << 24)) ^ (low[index] as number)
      hi = (hi >>> 8) ^ (high[index] as number)
    }
    this.#low = lo
    this.#high = hi
  }

  /** Eight bytes, little endian, as they stand at the end of an RDB file and of a DUMP payload. */
  writeTo(target: Buffer, offset: number): void {
    target.writeInt32LE(this.#low, offset)
    target.writeInt32LE(this.#high, offset + 4)
  }
}

function fold(table: Int32Array, a: number, b: number, c: number, d: number): number {
  return (table[a] as number) ^ (table[b] as number) ^ (table[c] as number) ^ (table[d] as number)
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

function fillTables(): void {
  for (let byte = 0; byte < 256; byte++) {
    let lo = byte
    let hi = 0
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = lo & 1
      lo = (lo >>> 1) | (hi << 31)
      hi >>>= 1
      if (isOdd) {
        lo ^= polynomialLow
        hi ^= polynomialHigh
      }
    }
    low[byte] = lo
    high[byte] = hi
  }
  for (let index = 256; index < 2048; index++) {
    const lo = low[index - 256] as number
    const hi = high[index - 256] as number
    low[index] = ((lo >>> 8) | (hi << 24)) ^ (low[lo & 255] as number)
    high[index] = (hi >>> 8) ^ (high[lo & 255] as number)
  }
}
