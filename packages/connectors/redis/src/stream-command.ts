/**
 * Commands of a replication stream, found without being taken apart: most of them go on to the target as they came, and
 * of those only the name and the first key are looked at.
 */
import type { CommandBuffer } from './command-buffer.ts'

/** Places within a command. Behind an argument comes its end of line. */
export interface Marks {
  readonly count: number
  readonly nameAt: number
  readonly nameEnd: number
  readonly firstAt: number
  readonly firstEnd: number
}

/** Half a million of them a second must not be half a million views of bytes: those are made when they are asked for. */
export class StreamCommand {
  /** Arguments, the name included. */
  readonly count: number
  readonly #block: Buffer
  readonly #start: number
  readonly #end: number
  readonly #nameAt: number
  readonly #nameEnd: number
  readonly #firstAt: number
  readonly #firstEnd: number
  #args: readonly Buffer[] | null = null

  /** `block`: what was pushed; its bytes from `start` to `end` must stay as they are. Marks count from `start`. */
  constructor(block: Buffer, start: number, end: number, marks: Marks) {
    this.#block = block
    this.#start = start
    this.#end = end
    this.count = marks.count
    this.#nameAt = start + marks.nameAt
    this.#nameEnd = start + marks.nameEnd
    this.#firstAt = start + marks.firstAt
    this.#firstEnd = start + marks.firstEnd
  }

  /** As it came, a view into what was pushed. */
  get bytes(): Buffer {
    return this.#block.subarray(this.#start, this.#end)
  }

  get byteLength(): number {
    return this.#end - this.#start
  }

  /** As it was sent. */
  get name(): string {
    return this.#block.toString('latin1', this.#nameAt, this.#nameEnd)
  }

  /** The argument behind the name; empty where there is none. */
  get first(): Buffer {
    return this.#block.subarray(this.#firstAt, this.#firstEnd)
  }

  /** Of the argument behind the name; some other byte where it is empty. */
  get firstByte(): number {
    return this.#block[this.#firstAt] ?? 0
  }

  /** SET of a key and a value, and nothing else. */
  get isPlainSet(): boolean {
    const [block, at] = [this.#block, this.#nameAt]
    if (this.count !== 3 || this.#nameEnd - at !== 3) return false
    return isLetter(block[at], 0x73) && isLetter(block[at + 1], 0x65) && isLetter(block[at + 2], 0x74)
  }

  addTo(buffer: CommandBuffer): void {
    buffer.addEncoded(this.#block, this.#start, this.#end)
  }

  /** Those behind the name, as they came. */
  addArgumentsTo(buffer: CommandBuffer): void {
    buffer.bytes(this.#block, this.#nameEnd + 2, this.#end)
  }

  get args(): readonly Buffer[] {
    this.#args ??= this.#split()
    return this.#args
  }

  #split(): Buffer[] {
    const { bytes } = this
    const args: Buffer[] = []
    for (let at = bytes.indexOf(0x0a) + 1; at < bytes.length; ) {
      const start = bytes.indexOf(0x0a, at) + 1
      const length = Number(bytes.toString('latin1', at + 1, start - 2))
      args.push(bytes.subarray(start, start + length))
      at = start + length + 2
    }
    return args
  }
}

/** In either case. */
function isLetter(byte: number | undefined, lower: number): boolean {
  return ((byte ?? 0) | 0x20) === lower
}
