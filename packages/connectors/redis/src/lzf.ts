/** LZF, with which Redis packs strings. A back reference reaches at most 8 KiB. */
import { malformedRdb } from './rdb-format.ts'

const reach = 8192

/** Unpacks into exactly `length` bytes, or throws `redis.rdb-malformed`. */
export function unpackLzf(packed: Buffer, length: number): Buffer {
  if (length > packed.length * 264) throw malformedRdb('a packed string claims to be longer than it can be')
  const plain = Buffer.allocUnsafeSlow(length)
  const reached = unpack(packed, 0, packed.length, plain, 0)
  if (reached.input !== packed.length || reached.output !== length) throw malformedRdb('a packed string is damaged')
  return plain
}

/** Unpacks a string that is too large for memory, piece by piece. */
export class LzfStream {
  readonly #pieceBytes: number
  readonly #plain: Buffer
  #filled = 0

  constructor(pieceBytes: number) {
    this.#pieceBytes = pieceBytes
    this.#plain = Buffer.allocUnsafeSlow(reach + pieceBytes)
  }

  /** Unpacks from `bytes` as much as a piece holds. `used` bytes are done with; the piece is a copy. */
  take(bytes: Buffer, start: number, end: number): { readonly used: number; readonly piece: Buffer } {
    const from = this.#filled
    const room = Math.min(this.#plain.length, from + this.#pieceBytes)
    const { input, output } = unpack(bytes, start, end, this.#plain.subarray(0, room), from)
    const piece = Buffer.from(this.#plain.subarray(from, output))
    const kept = Math.min(output, reach)
    this.#plain.copy(this.#plain, 0, output - kept, output)
    this.#filled = kept
    return { used: input - start, piece }
  }
}

/** Stops before an instruction that is not all there or does not fit any more. */
function unpack(packed: Buffer, start: number, end: number, plain: Buffer, from: number) {
  let input = start
  let output = from
  while (input < end) {
    const control = packed[input] as number
    if (control < 32) {
      const run = control + 1
      if (input + 1 + run > end || output + run > plain.length) break
      packed.copy(plain, output, input + 1, input + 1 + run)
      input += 1 + run
      output += run
      continue
    }
    const isLong = control >> 5 === 7
    if (input + (isLong ? 3 : 2) > end) break
    const run = (isLong ? 7 + (packed[input + 1] as number) : control >> 5) + 2
    if (output + run > plain.length) break
    const distance = (((control & 31) << 8) | (packed[input + (isLong ? 2 : 1)] as number)) + 1
    if (distance > output) throw malformedRdb('a packed string refers to before its start')
    for (let i = 0; i < run; i++, output++) plain[output] = plain[output - distance] as number
    input += isLong ? 3 : 2
  }
  return { input, output }
}
