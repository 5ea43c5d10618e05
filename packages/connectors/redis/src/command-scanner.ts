/** Finds the commands of a replication stream, and passes on in pieces those that are too large to be held. */
import { damagedStream, LargeScan, type Outline } from './large-scan.ts'
import { type Marks, StreamCommand } from './stream-command.ts'

/** What one command, or one transaction, may hold of a mover's memory; what is larger passes through in pieces. */
export const mostHeldBytes = 8 * 1024 * 1024
/** What a server takes. */
const mostArguments = 2_147_483_647
/** From here on a command that is not whole yet gets room to grow. */
const growFrom = 256 * 1024

/** Of a command that is not held. */
export interface LargePiece {
  /** A view into what was pushed. */
  readonly bytes: Buffer
  /** With the last. */
  readonly outline: Outline | null
}

/** Its buffers may end anywhere. What was looked at is not looked at again. */
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
  #nameAt = 0
  #nameEnd = 0
  #firstAt = 0
  #firstEnd = 0
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
    const command = new StreamCommand(this.#buffer, this.#start, this.#at, this.#marks())
    this.#consumed += this.#at - this.#start
    this.#start = this.#at
    this.#left = -1
    return command
  }

  #marks(): Marks {
    const [count, nameAt, nameEnd] = [this.#count, this.#nameAt, this.#nameEnd]
    return { count, nameAt, nameEnd, firstAt: this.#firstAt, firstEnd: this.#firstEnd }
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
    if (count === 0 || count > mostArguments) throw damagedStream(`a command claims ${count} arguments`)
    this.#at = this.#next
    this.#count = count
    this.#left = count
    this.#firstAt = 0
    this.#firstEnd = 0
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
    if (this.#buffer[end] !== 0x0d || this.#buffer[end + 1] !== 0x0a) throw damagedStream('an argument has no end')
    if (this.#left === this.#count) {
      this.#nameAt = start - this.#start
      this.#nameEnd = end - this.#start
    } else if (this.#left === this.#count - 1) {
      this.#firstAt = start - this.#start
      this.#firstEnd = end - this.#start
    }
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
    if (buffer[from] !== type) throw damagedStream('something else stands where a command or an argument begins')
    let value = 0
    for (let at = from + 1; at < end; at++) {
      const digit = (buffer[at] as number) - 0x30
      if (digit >= 0 && digit <= 9) {
        value = value * 10 + digit
        if (value > 2 ** 40) throw damagedStream('a number is too large')
      } else {
        if (buffer[at] !== 0x0d || at === from + 1) throw damagedStream('a number holds something else than digits')
        if (at + 1 >= end) return this.#more(from)
        if (buffer[at + 1] !== 0x0a) throw damagedStream('a line ends without its line feed')
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
