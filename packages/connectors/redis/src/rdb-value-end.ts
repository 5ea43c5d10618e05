/**
 * Finds where a value ends, whatever its encoding, without decoding what it holds. Goes on where it stopped when more
 * bytes have come, so that no byte is looked at twice.
 *
 * A value is a list of things to step over; some of them are counted and push more of them. Nothing is allocated by a
 * count that is only claimed.
 */
import { unsupportedValue, valueType } from './rdb-format.ts'
import { LengthReader } from './rdb-length.ts'

const strings = 0
const rawBytes = 1
const lengths = 2
/** A string and a double of eight bytes. */
const scored = 3
/** A string and a double as text. */
const scoredText = 4
/** A length and a string: a node of a quicklist. */
const nodes = 5
const groups = 6
/** An id, a time and a length: an entry that a consumer has not acknowledged. */
const pending = 7
const consumers = 8
/** Added to one of the above: a length says how many, times the number beside it. */
const counted = 16

export class ValueEnd {
  /** Bytes that were stepped over; the value's length once `find` gave true. */
  length = 0
  readonly #lengths = new LengthReader()
  /** What and how many in turn, the next on top. */
  #todo: number[] = []
  #streamVersion = 1

  /** Throws for a type that cannot be carried. */
  begin(type: number): void {
    this.length = 0
    this.#todo = this.#plan(type)
  }

  /** Whether the value that begins at `start` is all there. */
  find(bytes: Buffer, start: number, end: number): boolean {
    let at = start + this.length
    while (this.#todo.length > 0) {
      const count = this.#todo.pop() as number
      const what = this.#todo.pop() as number
      const next = what >= counted ? this.#count(what, count, bytes, at, end) : this.#step(what, count, bytes, at, end)
      if (next < 0) {
        this.length = ~next - start
        return false
      }
      at = next
    }
    this.length = at - start
    return true
  }

  /** What was stepped over is taken away: the next `find` begins where it ended. */
  drop(): void {
    this.length = 0
  }

  #plan(type: number): number[] {
    switch (type) {
      case valueType.string:
      case valueType.hashZipmap:
      case valueType.listZiplist:
      case valueType.setIntset:
      case valueType.zsetZiplist:
      case valueType.hashZiplist:
      case valueType.hashListpack:
      case valueType.zsetListpack:
      case valueType.setListpack:
        return [strings, 1]
      case valueType.list:
      case valueType.set:
      case valueType.listQuicklist:
        return [counted + strings, 1]
      case valueType.hash:
        return [counted + strings, 2]
      case valueType.zset:
        return [counted + scoredText, 1]
      case valueType.zset2:
        return [counted + scored, 1]
      case valueType.listQuicklist2:
        return [counted + nodes, 1]
      case valueType.streamListpacks:
        return this.#planStream(1, 3)
      case valueType.streamListpacks2:
        return this.#planStream(2, 8)
      case valueType.streamListpacks3:
        return this.#planStream(3, 8)
      default:
        throw unsupportedValue(type)
    }
  }

  #planStream(version: number, header: number): number[] {
    this.#streamVersion = version
    return [counted + groups, 1, lengths, header, counted + strings, 2]
  }

  #count(what: number, times: number, bytes: Buffer, at: number, end: number): number {
    const next = this.#lengths.readPlain(bytes, at, end)
    if (next < 0) {
      this.#todo.push(what, times)
      return ~at
    }
    if (this.#lengths.value > 0) this.#todo.push(what - counted, this.#lengths.value * times)
    return next
  }

  /** Where `count` of `what` end; when too little is there, what is left is to do again and the place comes inverted. */
  #step(what: number, count: number, bytes: Buffer, start: number, end: number): number {
    if (what === rawBytes) return this.#stepBytes(count, start, end)
    if (what === groups || what === consumers) return this.#unfold(what, count, start)
    let at = start
    for (let left = count; left > 0; left--) {
      const next = this.#one(what, bytes, at, end)
      if (next < 0) {
        this.#todo.push(what, left)
        return ~at
      }
      at = next
    }
    return at
  }

  #one(what: number, bytes: Buffer, at: number, end: number): number {
    switch (what) {
      case strings:
        return this.#lengths.skipString(bytes, at, end)
      case lengths:
        return this.#lengths.readPlain(bytes, at, end)
      case scored:
        return fixed(this.#lengths.skipString(bytes, at, end), 8, end)
      case scoredText:
        return textDouble(this.#lengths.skipString(bytes, at, end), bytes, end)
      case nodes: {
        const next = this.#lengths.readPlain(bytes, at, end)
        return next < 0 ? -1 : this.#lengths.skipString(bytes, next, end)
      }
      default: {
        const next = fixed(at, 24, end)
        return next < 0 ? -1 : this.#lengths.readPlain(bytes, next, end)
      }
    }
  }

  #stepBytes(count: number, at: number, end: number): number {
    if (at + count <= end) return at + count
    this.#todo.push(rawBytes, count - (end - at))
    return ~end
  }

  /** One group or consumer, laid open, before the others. */
  #unfold(what: number, count: number, at: number): number {
    if (count > 1) this.#todo.push(what, count - 1)
    if (what === groups) {
      const positions = this.#streamVersion >= 2 ? 3 : 2
      this.#todo.push(counted + consumers, 1, counted + pending, 1, lengths, positions, strings, 1)
    } else {
      this.#todo.push(counted + rawBytes, 16, rawBytes, this.#streamVersion >= 3 ? 16 : 8, strings, 1)
    }
    return at
  }
}

function fixed(at: number, size: number, end: number): number {
  return at < 0 || at + size > end ? -1 : at + size
}

/** One byte says how long the text is; 253 to 255 stand for what is no number. */
function textDouble(at: number, bytes: Buffer, end: number): number {
  if (at < 0 || at >= end) return -1
  const length = bytes[at] as number
  return fixed(at + 1, length >= 253 ? 0 : length, end)
}
