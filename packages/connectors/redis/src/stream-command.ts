/**
 * Commands of a replication stream, found without being taken apart: most of them go on to the target as they came, and
 * of those only the name and the first key are looked at.
 */
import { ReplatformError } from '@replatform/core/errors'
import { LargeScan, type Outline } from './large-scan.ts'

/** Where an argument stands in the bytes of its command. */
interface Span {
  readonly start: number
  readonly end: number
}

export class StreamCommand {
  /** As it came, a view into what was pushed. */
  readonly bytes: Buffer
  /** Arguments, the name included. */
  readonly count: number
  readonly #name: Span
  readonly #first: Span
  #args: readonly Buffer[] | null = null

  constructor(bytes: Buffer, count: number, name: Span, first: Span) {
    this.bytes = bytes
    this.count = count
    this.#name = name
    this.#first = first
  }

  /** As it was sent. */
  get name(): string {
    return this.bytes.toString('latin1', this.#name.start, this.#name.end)
  }

  /** The argument behind the name; empty where there is none. */
  get first(): Buffer {
    return this.bytes.subarray(this.#first.start, this.#first.end)
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

/** What one command, or one transaction, may hold of a mover's memory; what is larger passes through in pieces. */
export const mostHeldBytes = 8 * 1024 * 1024
const mostArguments = 16_777_216
/** From here on a command that is not whole yet gets room to grow. */
const growFrom = 256 * 1024

/** Of a command that is not held. */
export interface LargePiece {
  /** A view into what was pushed. */
  readonly bytes: Buffer
  /** With the last. */
  readonly outline: Outline | null
}

/** Finds commands in buffers that may end anywhere. What was looked at is not looked at again. */
export class CommandScanner {
  #buffer: Buffer = Buffer.alloc(0)
  /** Of the command that is not whole yet. */
  #start = 0
  #at = 0
  #end = 0
  /** Bytes from `#at` on without which there is no use in looking again. */
  #wanted = 1
  #count = 0
  /** Arguments that have not come; -1 before the head has. */
  #left = -1
  #name: Span = { start: 0, end: 0 }
  #first: Span = { start: 0, end: 0 }
  #consumed = 0
  #large: LargeScan | null = null

  /** Bytes of all that `next` has given. */
  get consumed(): number {
    return this.#consumed
  }

  push(chunk: Buffer): void {
    if (this.#start === this.#end) {
      this.#buffer = chunk
      this.#end = chunk.length
      this.#start = 0
      this.#at = 0
      return
    }
    if (this.#buffer.length - this.#end < chunk.length) this.#makeRoom(chunk.length)
    chunk.copy(this.#buffer, this.#end)
    this.#end += chunk.length
  }

  /** Undefined until more is pushed. Throws `redis.protocol` or `redis.value-too-large`; do not read on after it. */
  next(): StreamCommand | LargePiece | undefined {
    if (this.#large) return this.#nextPiece(this.#large)
    if (this.#end - this.#at < this.#wanted) return undefined
    this.#wanted = 1
    if (this.#left < 0 && !this.#head()) return undefined
    while (this.#left > 0) {
      if (this.#argument()) continue
      return this.#large ? this.#nextPiece(this.#large) : undefined
    }
    const bytes = this.#buffer.subarray(this.#start, this.#at)
    const command = new StreamCommand(bytes, this.#count, this.#name, this.#first)
    this.#consumed += bytes.length
    this.#start = this.#at
    this.#left = -1
    return command
  }

  #nextPiece(large: LargeScan): LargePiece | undefined {
    if (this.#start === this.#end) return undefined
    const taken = large.take(this.#buffer.subarray(this.#start, this.#end))
    const bytes = this.#buffer.subarray(this.#start, this.#start + taken)
    this.#start += taken
    this.#at = this.#start
    this.#consumed += taken
    if (large.outline) {
      this.#large = null
      this.#left = -1
    }
    return { bytes, outline: large.outline }
  }

  /** Views of what was given stay as they are: they are in the block that is left, or before what is added. */
  #makeRoom(more: number): void {
    const needed = this.#end - this.#start + more
    const block = Buffer.allocUnsafeSlow(needed > growFrom ? 2 * needed : needed)
    this.#buffer.copy(block, 0, this.#start, this.#end)
    this.#buffer = block
    this.#at -= this.#start
    this.#end -= this.#start
    this.#start = 0
  }

  #head(): boolean {
    const count = this.#number(0x2a, this.#at)
    if (count < 0) return false
    if (count === 0 || count > mostArguments) throw malformed(`a command claims ${count} arguments`)
    this.#at = this.#next
    this.#count = count
    this.#left = count
    this.#first = { start: 0, end: 0 }
    return true
  }

  #argument(): boolean {
    const length = this.#number(0x24, this.#at)
    if (length < 0) return false
    const start = this.#next
    const end = start + length
    if (end + 2 - this.#start > mostHeldBytes) {
      this.#large = new LargeScan()
      return false
    }
    if (end + 2 > this.#end) {
      this.#wanted = end + 2 - this.#at
      return false
    }
    if (this.#buffer[end] !== 0x0d || this.#buffer[end + 1] !== 0x0a) throw malformed('an argument has no end')
    const span = { start: start - this.#start, end: end - this.#start }
    if (this.#left === this.#count) this.#name = span
    else if (this.#left === this.#count - 1) this.#first = span
    this.#left -= 1
    this.#at = end + 2
    return true
  }

  /** Behind the line of the number that was read last. */
  #next = 0

  /** A line of that type with a number, or -1 until it is there. */
  #number(type: number, from: number): number {
    const buffer = this.#buffer
    const end = this.#end
    if (from >= end) return this.#more(from)
    if (buffer[from] !== type) throw malformed('something else stands where a command or an argument begins')
    let value = 0
    for (let at = from + 1; at < end; at++) {
      const digit = (buffer[at] as number) - 0x30
      if (digit >= 0 && digit <= 9) {
        value = value * 10 + digit
        if (value > 2 ** 40) throw malformed('a number is too large')
      } else {
        if (buffer[at] !== 0x0d || at === from + 1) throw malformed('a number holds something else than digits')
        if (at + 1 >= end) return this.#more(from)
        if (buffer[at + 1] !== 0x0a) throw malformed('a line ends without its line feed')
        this.#next = at + 2
        return value
      }
    }
    return this.#more(from)
  }

  #more(from: number): -1 {
    this.#wanted = this.#end - from + 1
    return -1
  }
}

function malformed(what: string): ReplatformError {
  return new ReplatformError('redis.protocol', { message: `The replication stream is damaged: ${what}.` })
}
