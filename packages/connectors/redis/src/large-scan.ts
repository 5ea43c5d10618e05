/**
 * Reads a command that is too large to be held as it comes by, and keeps no more of it than what says how to go on with
 * it. Written byte by byte where lines are, since there may be millions of them in one command.
 */
import { ReplatformError } from '@replatform/core/errors'
import { mostBulkBytes } from './bulk-limit.ts'

/** Where an argument stands in the bytes of its command. */
export interface OutlinedArgument {
  readonly start: number
  readonly length: number
  /** Null where it was not kept. */
  readonly bytes: Buffer | null
}

export interface Outline {
  /** Arguments, the name included. */
  readonly count: number
  /** Of the command, as it came. */
  readonly bytes: number
  /** Of its longest argument. */
  readonly longestBytes: number
  /** Before the arguments: the line that says how many there are. */
  readonly headBytes: number
  /** All of them where they are few, else the first. */
  readonly args: readonly OutlinedArgument[]
}

/** Arguments that are looked at: no command with so many is anything but one list of items. */
export const mostOutlined = 64
/** Of an argument that is kept; the first behind the name is a key, of which few are long. */
const mostKeptBytes = 1_024
const mostKeyBytes = 1 << 20
const longestLine = 24

export class LargeScan {
  #outline: Outline | null = null
  readonly #args: OutlinedArgument[] = []
  #count = -1
  #seen = 0
  #at = 0
  #headBytes = 0
  #longest = 0
  /** Of the line that is being read. */
  #lineAt = 0
  #number = 0
  /** Of the argument that is being read; its end of line counts. Below zero within a line. */
  #left = -1
  #start = 0
  #kept: Buffer[] | null = null

  /** Null until the command is whole. */
  get outline(): Outline | null {
    return this.#outline
  }

  /** How many of the bytes belong to the command. Throws `redis.protocol` or `redis.value-too-large`. */
  take(bytes: Buffer): number {
    let at = 0
    while (at < bytes.length && !this.#outline) at = this.#left < 0 ? this.#line(bytes, at) : this.#body(bytes, at)
    this.#at += at
    return at
  }

  #line(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (byte === 0x0a && this.#lineAt > 2) {
        this.#lineAt = 0
        this.#endLine(this.#at + at + 1)
        return at + 1
      }
      if (this.#lineAt > 0 && byte !== 0x0d) this.#number = this.#number * 10 + byte - 0x30
      const isRight = this.#lineAt === 0 ? byte === (this.#count < 0 ? 0x2a : 0x24) : isDigit(byte) || byte === 0x0d
      if (!isRight || ++this.#lineAt > longestLine) throw damagedStream('a line of a large command is none')
    }
    return bytes.length
  }

  /** `end`: behind the line. */
  #endLine(end: number): void {
    const number = this.#number
    this.#number = 0
    if (this.#count < 0) {
      this.#count = number
      this.#headBytes = end
      return
    }
    if (number > mostBulkBytes) throw tooLarge(`an argument of ${number >> 20} MB, and servers take 512 MB`)
    if (this.#seen === 1 && number > mostKeyBytes) throw tooLarge('a key above 1 MB')
    this.#longest = Math.max(this.#longest, number)
    this.#start = end
    this.#left = number + 2
    this.#kept = this.#seen < mostOutlined && number <= (this.#seen === 1 ? mostKeyBytes : mostKeptBytes) ? [] : null
  }

  #body(bytes: Buffer, from: number): number {
    const piece = bytes.subarray(from, from + this.#left)
    this.#kept?.push(Buffer.from(piece))
    this.#left -= piece.length
    if (this.#left === 0) this.#endArgument(this.#at + from + piece.length)
    return from + piece.length
  }

  #endArgument(end: number): void {
    const length = end - 2 - this.#start
    if (this.#seen < mostOutlined) {
      const bytes = this.#kept ? Buffer.concat(this.#kept).subarray(0, length) : null
      this.#args.push({ start: this.#start, length, bytes })
    }
    this.#kept = null
    this.#left = -1
    this.#seen += 1
    if (this.#seen < this.#count) return
    const [count, longestBytes, headBytes] = [this.#count, this.#longest, this.#headBytes]
    this.#outline = { count, bytes: end, longestBytes, headBytes, args: this.#args }
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** `what` is wrong with it. */
export function damagedStream(what: string): ReplatformError {
  return new ReplatformError('redis.protocol', { message: `The replication stream is damaged: ${what}.` })
}

export function tooLarge(what: string): ReplatformError {
  return new ReplatformError('redis.value-too-large', { message: `The source has carried out a command with ${what}.` })
}
