/**
 * Walks over an RDB file while it arrives, in whatever pieces, and gives every key with its value's own bytes. Nothing
 * is decoded: a value goes to RESTORE as it stands. Only where a value ends must be known.
 *
 * Memory is bounded: a value that is larger than `partAbove` is taken apart and given in parts, while it arrives; one
 * that cannot be taken apart is given piece by piece.
 */
import { ByteWindow } from './byte-window.ts'
import { Crc64 } from './crc64.ts'
import { malformedRdb, newestRdbVersion, opcode, unsupportedValue, valueTooLarge, valueType } from './rdb-format.ts'
import { LengthReader } from './rdb-length.ts'
import { canBeParted, type ValuePart, ValueParts } from './rdb-parts.ts'
import { readString } from './rdb-string.ts'
import { ValueEnd } from './rdb-value-end.ts'

/** All buffers are views that hold until the next `push`. */
export type RdbEvent = RdbEntry | RdbPart | RdbPiece | RdbFunction | RdbEnd

export interface RdbEntry {
  readonly kind: 'entry'
  readonly db: number
  readonly key: Buffer
  /** Milliseconds since 1970, by the source's clock. */
  readonly expireAtMs: number | null
  readonly type: number
  /** As it stands in the file, and as DUMP would give it after the type. */
  readonly value: Buffer
}

/** A piece of a large value, as arguments of a native command. The parts of a key come one after the other. */
export interface RdbPart extends ValuePart {
  readonly kind: 'part'
  readonly db: number
  readonly key: Buffer
  readonly expireAtMs: number | null
  readonly isFirst: boolean
}

/** A piece of the bytes of a large value that cannot be taken apart, a stream mostly. One key's come one after the other. */
export interface RdbPiece {
  readonly kind: 'piece'
  readonly db: number
  readonly key: Buffer
  readonly expireAtMs: number | null
  readonly type: number
  readonly bytes: Buffer
  readonly isFirst: boolean
  readonly isLast: boolean
}

export interface RdbFunction {
  readonly kind: 'function'
  readonly code: Buffer
}

export interface RdbEnd {
  readonly kind: 'end'
  /** What came after the file. */
  readonly rest: Buffer
}

export interface RdbWalkerOptions {
  /** Bytes of a value above which it is given in parts. */
  readonly partAbove?: number
  /** Bytes above which what has neither parts nor pieces (one packed list, one element) is refused. */
  readonly refuseAbove?: number
}

type State = 'header' | 'opcode' | 'value' | 'parts' | 'pieces' | 'trailer' | 'ended'

interface OpenPieces {
  readonly key: Buffer
  isFirst: boolean
}

interface OpenParts {
  readonly of: ValueParts
  readonly key: Buffer
  isFirst: boolean
}

export class RdbWalker {
  /** Of the file; known from the first event on. A DUMP payload of its values carries the same. */
  version = 0
  readonly #partAbove: number
  readonly #refuseAbove: number
  readonly #window = new ByteWindow()
  readonly #lengths = new LengthReader()
  readonly #valueEnd = new ValueEnd()
  readonly #crc = new Crc64()
  #state: State = 'header'
  #db = 0
  #expireAtMs: number | null = null
  #type = 0
  /** From the window's start. */
  #key = { start: 0, end: 0 }
  #parts: OpenParts | null = null
  #pieces: OpenPieces | null = null

  constructor({ partAbove = 8 * 1024 * 1024, refuseAbove = 64 * 1024 * 1024 }: RdbWalkerOptions = {}) {
    this.#partAbove = partAbove
    this.#refuseAbove = refuseAbove
  }

  push(chunk: Buffer): void {
    this.#window.push(chunk)
  }

  /** Undefined until more is pushed. Throws `redis.rdb-malformed` and its kin; do not go on after it. */
  next(): RdbEvent | undefined {
    for (;;) {
      switch (this.#state) {
        case 'header':
          if (!this.#header()) return undefined
          break
        case 'opcode': {
          const event = this.#opcode()
          if (event !== 'more') return event
          break
        }
        case 'value':
          return this.#value()
        case 'parts':
          return this.#part()
        case 'pieces':
          return this.#piece()
        case 'trailer':
          return this.#trailer()
        default:
          throw malformedRdb('it was read beyond its end')
      }
    }
  }

  #header(): boolean {
    const { bytes, start, length } = this.#window
    if (length < 9) return false
    if (bytes.toString('latin1', start, start + 5) !== 'REDIS') throw malformedRdb('it does not begin as an RDB file')
    this.version = Number(bytes.toString('latin1', start + 5, start + 9))
    if (!Number.isInteger(this.version) || this.version < 1) throw malformedRdb('it has no version')
    if (this.version > newestRdbVersion) {
      throw malformedRdb(`its version ${this.version} is newer than ${newestRdbVersion}`)
    }
    this.#advance(start + 9)
    this.#state = 'opcode'
    return true
  }

  /** `more`: go on at once; undefined: wait. */
  #opcode(): RdbEvent | 'more' | undefined {
    const { bytes, start, end } = this.#window
    if (start >= end) return undefined
    const code = bytes[start] as number
    const at = start + 1
    switch (code) {
      case opcode.end:
        this.#advance(at)
        this.#state = 'trailer'
        return 'more'
      case opcode.selectDb:
        return this.#skip(this.#length(at, (db) => (this.#db = db)))
      case opcode.expireTimeMs:
        if (at + 8 > end) return undefined
        this.#expireAtMs = Number(bytes.readBigInt64LE(at))
        return this.#skip(at + 8)
      case opcode.expireTime:
        if (at + 4 > end) return undefined
        this.#expireAtMs = bytes.readInt32LE(at) * 1000
        return this.#skip(at + 4)
      case opcode.frequency:
        return this.#skip(at + 1 > end ? -1 : at + 1)
      case opcode.idle:
        return this.#skip(this.#length(at))
      case opcode.resizeDb:
        return this.#skip(this.#chain(at, 2, (from) => this.#length(from)))
      case opcode.slotInfo:
        return this.#skip(this.#chain(at, 3, (from) => this.#length(from)))
      case opcode.aux:
        return this.#skip(this.#chain(at, 2, (from) => this.#lengths.skipString(bytes, from, end)))
      case opcode.function2:
        return this.#function(at)
      case opcode.moduleAux:
        throw unsupportedValue(valueType.module2)
      case opcode.functionPreGa:
      case opcode.slotImport:
        throw malformedRdb(`it holds a section of type ${code}, which no release writes`)
      default:
        return this.#beginValue(code, at)
    }
  }

  #beginValue(type: number, at: number): RdbEvent | 'more' | undefined {
    const { bytes, start, end } = this.#window
    const keyEnd = this.#lengths.skipString(bytes, at, end)
    if (keyEnd < 0) return this.#bounded()
    this.#key = { start: at - start, end: keyEnd - start }
    this.#type = type
    this.#valueEnd.begin(type)
    this.#state = 'value'
    return 'more'
  }

  #value(): RdbEvent | undefined {
    const { bytes, start, end } = this.#window
    const from = start + this.#key.end
    if (!this.#valueEnd.find(bytes, from, end)) {
      if (end - from <= this.#partAbove) return this.#bounded()
      if (canBeParted(this.#type)) {
        this.#beginParts(from)
        return this.#part()
      }
      this.#pieces = { key: Buffer.from(this.#readKey()), isFirst: true }
      this.#advance(from)
      this.#state = 'pieces'
      return this.#takePiece(false)
    }
    const to = from + this.#valueEnd.length
    const entry: RdbEntry = {
      kind: 'entry',
      db: this.#db,
      key: this.#readKey(),
      expireAtMs: this.#expireAtMs,
      type: this.#type,
      value: bytes.subarray(from, to),
    }
    this.#endValue(to)
    return entry
  }

  #beginParts(from: number): void {
    this.#parts = { of: new ValueParts(this.#type), key: Buffer.from(this.#readKey()), isFirst: true }
    this.#advance(from)
    this.#state = 'parts'
  }

  #part(): RdbEvent | undefined {
    const parts = this.#parts as OpenParts
    const { bytes, start, end } = this.#window
    const { part, used } = parts.of.take(bytes, start, end)
    this.#advance(start + used)
    if (!part) return this.#bounded()
    const { isFirst } = parts
    parts.isFirst = false
    const event: RdbPart = {
      ...part,
      kind: 'part',
      db: this.#db,
      key: parts.key,
      expireAtMs: this.#expireAtMs,
      isFirst,
    }
    if (part.isLast) this.#endValue(this.#window.start)
    return event
  }

  #piece(): RdbEvent | undefined {
    const { bytes, start, end } = this.#window
    return this.#takePiece(this.#valueEnd.find(bytes, start, end))
  }

  /** What was stepped over so far, which may be nothing. */
  #takePiece(isLast: boolean): RdbPiece | undefined {
    const pieces = this.#pieces as OpenPieces
    const { bytes, start } = this.#window
    const to = start + this.#valueEnd.length
    if (to === start && !isLast) return this.#bounded()
    const { key, isFirst } = pieces
    pieces.isFirst = false
    const event: RdbPiece = {
      kind: 'piece',
      db: this.#db,
      key,
      expireAtMs: this.#expireAtMs,
      type: this.#type,
      bytes: bytes.subarray(start, to),
      isFirst,
      isLast,
    }
    this.#valueEnd.drop()
    if (isLast) this.#endValue(to)
    else this.#advance(to)
    return event
  }

  #endValue(at: number): void {
    this.#advance(at)
    this.#parts = null
    this.#pieces = null
    this.#expireAtMs = null
    this.#state = 'opcode'
  }

  #function(at: number): RdbFunction | undefined {
    const { bytes, end } = this.#window
    const next = this.#lengths.skipString(bytes, at, end)
    if (next < 0) return this.#bounded()
    const code = readString(bytes, at, next)
    this.#advance(next)
    return { kind: 'function', code }
  }

  /** Zero stands for a checksum that was switched off. */
  #trailer(): RdbEnd | undefined {
    const { bytes, start, length } = this.#window
    const size = this.version >= 5 ? 8 : 0
    if (length < size) return undefined
    const expected = Buffer.alloc(8)
    this.#crc.writeTo(expected, 0)
    const written = bytes.subarray(start, start + size)
    if (size > 0 && written.some((byte) => byte !== 0) && !written.equals(expected)) {
      throw malformedRdb('its checksum does not match')
    }
    this.#window.start += size
    this.#state = 'ended'
    return { kind: 'end', rest: this.#window.takeRest() }
  }

  #readKey(): Buffer {
    const { bytes, start } = this.#window
    return readString(bytes, start + this.#key.start, start + this.#key.end)
  }

  #length(at: number, take?: (value: number) => void): number {
    const next = this.#lengths.readPlain(this.#window.bytes, at, this.#window.end)
    if (next >= 0) take?.(this.#lengths.value)
    return next
  }

  #chain(at: number, times: number, step: (at: number) => number): number {
    let next = at
    for (let i = 0; i < times && next >= 0; i++) next = step(next)
    return next
  }

  #skip(to: number): 'more' | undefined {
    if (to < 0) return this.#bounded()
    this.#advance(to)
    return 'more'
  }

  #bounded(): undefined {
    if (this.#window.length > this.#refuseAbove) throw valueTooLarge(this.#refuseAbove)
  }

  #advance(to: number): void {
    this.#crc.update(this.#window.bytes, this.#window.start, to)
    this.#window.start = to
  }
}
