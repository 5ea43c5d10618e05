/**
 * A text[] parameter in the binary form of array_recv: dimensions, a flag for nulls, the element type, then per
 * dimension length and lower bound, then each element as an int32 length and its bytes, −1 for null. Cells of the
 * change stream are copied into it as they are, without escaping and without becoming strings.
 */
const headerBytes = 20
const textOid = 25
/** Up to here a loop is done before a call into the runtime has begun. */
const fewBytes = 32

export class TextArray {
  #buffer = Buffer.allocUnsafe(1024)
  #length = headerBytes
  #count = 0
  #hasNull = false

  /** The bytes `data[from, to)`. */
  append(data: Buffer, from: number, to: number): void {
    const size = to - from
    this.#reserve(4 + size)
    const buffer = this.#buffer
    let at = buffer.writeInt32BE(size, this.#length)
    if (size > fewBytes) data.copy(buffer, at, from, to)
    else for (let i = from; i < to; i++) buffer[at++] = data[i] as number
    this.#length += 4 + size
    this.#count += 1
  }

  appendNull(): void {
    this.#reserve(4)
    this.#buffer.writeInt32BE(-1, this.#length)
    this.#length += 4
    this.#count += 1
    this.#hasNull = true
  }

  finish(): Buffer {
    this.#buffer.writeInt32BE(1, 0)
    this.#buffer.writeInt32BE(this.#hasNull ? 1 : 0, 4)
    this.#buffer.writeInt32BE(textOid, 8)
    this.#buffer.writeInt32BE(this.#count, 12)
    this.#buffer.writeInt32BE(1, 16)
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
