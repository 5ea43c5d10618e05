/**
 * Reads RESP2, the protocol of Redis, from buffers that may end anywhere. Replies and replicated commands are the same
 * to it: both are values, a command being an array of byte strings.
 *
 * What has been read is never read again, however long an array is, and a byte string is put together once, when its
 * last byte is there.
 */
import { ReplatformError } from '@replatform/core/errors'

/** An error that the server answered: `NOPERM …`, `WRONGTYPE …`. */
export class RedisReplyError extends Error {
  override readonly name = 'RedisReplyError'

  /** The first word: NOPERM, WRONGTYPE, ERR. */
  get code(): string {
    return this.message.split(' ', 1)[0] ?? ''
  }
}

/** Buffers are views into what was pushed: copy what is to be kept for long. */
export type RespValue = string | number | null | Buffer | RedisReplyError | RespValue[]

export interface RespLimits {
  /** Bytes of one byte string. */
  readonly bulkBytes: number
  /** Bytes of one value with all that it holds. */
  readonly valueBytes: number
  /** Elements of one value. */
  readonly elements: number
}

const defaultLimits: RespLimits = { bulkBytes: 512 * 1024 * 1024, valueBytes: 512 * 1024 * 1024, elements: 16_777_216 }
const longestLine = 64 * 1024
const deepest = 8
/** A byte string up to here is put together even where it is not wanted. */
const longestSkimmed = 4_096
const nothing = Buffer.alloc(0)

interface OpenArray {
  readonly items: RespValue[]
  left: number
}

export class RespReader {
  readonly #limits: RespLimits
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  /** Pushed since, not yet joined to the buffer. */
  #later: Buffer[] = []
  #laterBytes = 0
  /** Bytes from `#at` on without which there is no use in looking again. */
  #wanted = 1
  #open: OpenArray[] = []
  #elements = 0
  #valueStart = 0
  #consumed = 0
  #skims = false
  /** Of a long byte string that is let go, with its end of line. */
  #skipped = 0

  constructor(limits: Partial<RespLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits }
  }

  /** Bytes of all values that `next` has given, and of nothing beyond them. */
  get consumed(): number {
    return this.#valueStart
  }

  push(chunk: Buffer): void {
    if (this.#at === this.#buffer.length && this.#later.length === 0) {
      this.#buffer = chunk
      this.#at = 0
      return
    }
    this.#later.push(chunk)
    this.#laterBytes += chunk.length
  }

  /**
   * The next whole value, or undefined until more is pushed. Throws `redis.protocol`; do not read on after it.
   * `skims`: long byte strings are let go as they come and are empty in the value, which may then be of any size.
   */
  next({ skims = false } = {}): RespValue | undefined {
    this.#skims = skims
    if (!this.#join()) return undefined
    for (;;) {
      const value = this.#element()
      if (value === undefined) return undefined
      const whole = this.#place(value)
      if (whole !== undefined) {
        this.#valueStart = this.#consumed
        this.#elements = 0
        return whole
      }
    }
  }

  /** False while too little is there for another look. */
  #join(): boolean {
    const here = this.#buffer.length - this.#at
    if (here + this.#laterBytes < this.#wanted) return false
    if (this.#later.length > 0) {
      this.#buffer = Buffer.concat([this.#buffer.subarray(this.#at), ...this.#later])
      this.#at = 0
      this.#later = []
      this.#laterBytes = 0
    }
    return this.#buffer.length > this.#at
  }

  /** Puts a value into the innermost open array; gives the outermost one once it is full. */
  #place(element: RespValue | OpenArray): RespValue | undefined {
    if (isOpenArray(element)) {
      if (this.#open.length >= deepest) throw malformed('arrays are nested too deep')
      this.#open.push(element)
      return undefined
    }
    let value: RespValue = element
    for (let top = this.#open.at(-1); top; top = this.#open.at(-1)) {
      top.items.push(value)
      top.left -= 1
      if (top.left > 0) return undefined
      this.#open.pop()
      value = top.items
    }
    return value
  }

  #element(): RespValue | OpenArray | undefined {
    if (this.#skipped > 0) return this.#skip()
    const buffer = this.#buffer
    const start = this.#at
    const end = this.#lineEnd(start)
    if (end < 0) return undefined
    const next = end + 2
    switch (buffer[start]) {
      case 0x2b:
        return this.#took(next, shortString(buffer, start + 1, end))
      case 0x2d:
        return this.#took(next, new RedisReplyError(buffer.toString('latin1', start + 1, end)))
      case 0x3a:
        return this.#took(next, integer(buffer, start + 1, end))
      case 0x24:
        return this.#bulk(integer(buffer, start + 1, end), next)
      case 0x2a:
        return this.#array(integer(buffer, start + 1, end), next)
      default:
        throw malformed('a value begins with a byte that no type has')
    }
  }

  /** Where the line that begins at `start` has its CR, or -1 until it is there. */
  #lineEnd(start: number): number {
    const buffer = this.#buffer
    const last = Math.min(buffer.length, start + longestLine)
    for (let at = start; at < last; at++) {
      if (buffer[at] !== 0x0d) continue
      if (at + 1 === buffer.length) return this.#want(buffer.length - start + 1)
      if (buffer[at + 1] !== 0x0a) throw malformed('a line ends without its line feed')
      return at
    }
    if (last - start === longestLine) throw malformed('a line has no end')
    return this.#want(buffer.length - start + 1)
  }

  #bulk(length: number, start: number): Buffer | null | undefined {
    if (length === -1) return this.#took(start, null)
    if (length < 0 || length > this.#limits.bulkBytes) throw malformed(`a byte string claims ${length} bytes`)
    const end = start + length
    if (this.#skims && length > longestSkimmed) {
      this.#skipped = length + 2
      this.#took(start, null)
      return this.#skip()
    }
    if (end + 2 > this.#buffer.length) {
      this.#want(end + 2 - this.#at)
      return undefined
    }
    if (this.#buffer[end] !== 0x0d || this.#buffer[end + 1] !== 0x0a) throw malformed('a byte string has no end')
    return this.#took(end + 2, this.#buffer.subarray(start, end))
  }

  #skip(): Buffer | undefined {
    const here = Math.min(this.#skipped, this.#buffer.length - this.#at)
    this.#skipped -= here
    const value = this.#took(this.#at + here, nothing)
    return this.#skipped === 0 ? value : undefined
  }

  #array(length: number, next: number): RespValue | OpenArray {
    if (length === -1) return this.#took(next, null)
    this.#elements += length
    if (length < 0 || this.#elements > this.#limits.elements) throw malformed(`an array claims ${length} elements`)
    return this.#took(next, length === 0 ? [] : { items: [], left: length })
  }

  #took<T>(to: number, value: T): T {
    this.#consumed += to - this.#at
    this.#at = to
    this.#wanted = 1
    if (!this.#skims && this.#consumed - this.#valueStart > this.#limits.valueBytes) {
      throw malformed(`a value is larger than ${this.#limits.valueBytes} bytes`)
    }
    return value
  }

  #want(bytes: number): -1 {
    this.#wanted = bytes
    return -1
  }
}

function isOpenArray(element: RespValue | OpenArray): element is OpenArray {
  return element !== null && typeof element === 'object' && 'left' in element
}

/** The replies that come a hundred thousand times a second cost no new string. */
function shortString(buffer: Buffer, start: number, end: number): string {
  if (end - start === 2 && buffer[start] === 0x4f && buffer[start + 1] === 0x4b) return 'OK'
  if (end - start === 6 && buffer[start] === 0x51 && buffer[start + 5] === 0x44) return 'QUEUED'
  return buffer.toString('latin1', start, end)
}

function integer(buffer: Buffer, start: number, end: number): number {
  const isNegative = buffer[start] === 0x2d
  let at = isNegative ? start + 1 : start
  if (at === end || end - at > 19) throw malformed('a number has no digits, or too many')
  let value = 0
  for (; at < end; at++) {
    const digit = (buffer[at] as number) - 0x30
    if (digit < 0 || digit > 9) throw malformed('a number holds something else than digits')
    value = value * 10 + digit
  }
  return isNegative ? -value : value
}

function malformed(what: string): ReplatformError {
  return new ReplatformError('redis.protocol', { message: `The server sent what is no RESP: ${what}.` })
}
