/** Commands on their way to a server, one after the other in one block of memory that is used again and again. */

export type Argument = Buffer | string | number

const smallest = 64 * 1024

export class CommandBuffer {
  #bytes: Buffer
  #length = 0
  #commands = 0

  constructor(bytes = smallest) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes)
  }

  get length(): number {
    return this.#length
  }

  get commands(): number {
    return this.#commands
  }

  /** A view that holds until the next change. */
  get view(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
    this.#commands = 0
  }

  add(args: readonly Argument[]): void {
    this.begin(args.length)
    for (const argument of args) this.argument(argument)
  }

  /** A command as another server has encoded it. */
  addEncoded(block: Buffer, start = 0, end = block.length): void {
    this.countCommand()
    this.bytes(block, start, end)
  }

  /** The head of a command whose arguments follow one by one. */
  begin(count: number): void {
    this.countCommand()
    this.#head(0x2a, count)
  }

  protected countCommand(): void {
    this.#commands += 1
  }

  argument(argument: Argument): void {
    if (typeof argument === 'object') {
      this.beginArgument(argument.length)
      this.bytes(argument)
    } else {
      const text = String(argument)
      const length = Buffer.byteLength(text)
      this.beginArgument(length)
      this.#length += this.#bytes.write(text, this.#length)
    }
    this.endArgument()
  }

  /**
   * For an argument that is put together from pieces: `length` bytes must follow, then `endArgument`. Room is made for
   * them, unless they are to follow elsewhere.
   */
  beginArgument(length: number, room = length): void {
    this.#head(0x24, length)
    this.#reserve(room + 2)
  }

  bytes(piece: Buffer, start = 0, end = piece.length): void {
    this.#reserve(end - start)
    piece.copy(this.#bytes, this.#length, start, end)
    this.#length += end - start
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  endArgument(): void {
    this.#reserve(2)
    this.#bytes[this.#length++] = 0x0d
    this.#bytes[this.#length++] = 0x0a
  }

  #head(type: number, value: number): void {
    this.#reserve(24)
    this.#bytes[this.#length++] = type
    this.#digits(value)
    this.#bytes[this.#length++] = 0x0d
    this.#bytes[this.#length++] = 0x0a
  }

  #digits(value: number): void {
    let divisor = 1
    while (value >= divisor * 10) divisor *= 10
    for (let rest = value; divisor >= 1; divisor /= 10) {
      const digit = Math.floor(rest / divisor)
      this.#bytes[this.#length++] = 0x30 + digit
      rest -= digit * divisor
    }
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + more))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** One command in a buffer of its own. */
export function encodeCommand(args: readonly Argument[]): Buffer {
  const buffer = new CommandBuffer(64)
  buffer.add(args)
  return buffer.view
}
