/**
 * A row of very many bytes while it arrives: its small values are kept as they are, its large ones go to disk, and
 * references stand in for them (`spilled-frame.ts`). (PostgreSQL documentation, "Logical Replication Message Formats".)
 */
import { invariant } from '@replatform/core/errors'
import type { LargeFrameSink } from './frame-walker.ts'
import { cell } from './pgoutput.ts'
import { referenceBytes, type SpilledFrame } from './spilled-frame.ts'
import { messageType } from './wire.ts'

/** From this size on a message's large values go to disk. Smaller ones are held whole. */
export const spilledFrameBytesLeast = 16 * 1024 * 1024
/** Nothing that is part of a key is as large: an index takes 2.7 kB of it, compressed to a ninetieth at best. */
const spilledCellBytesLeast = 256 * 1024

/** CopyData's type and length, then `w` and three numbers of 8 bytes. */
export const messageStart = 5 + 25
/** The message's own type, the table, and what kind of tuple comes next. */
const rowHeadBytes = 6

/** Insert, update, delete. */
const rowMessages = new Set([0x49, 0x55, 0x44])

/** Takes one large message into memory. */
export class WholeFrame implements LargeFrameSink {
  readonly #frame: Buffer
  readonly #done: (frame: Buffer) => void
  #filled = 0

  constructor(bytes: number, done: (frame: Buffer) => void) {
    this.#frame = Buffer.allocUnsafe(bytes)
    this.#done = done
  }

  take(data: Buffer, from: number, to: number): void {
    this.#filled += data.copy(this.#frame, this.#filled, from, to)
  }

  end(): void {
    this.#done(this.#frame)
  }
}

/** What the bytes that come next are. */
type Part = 'head' | 'count' | 'kind' | 'length' | 'cell' | 'spilled-cell' | 'next-tuple'

/** Takes an insert, update or delete. What it hands on is the message alone, without what it was wrapped in. */
export class SpillingFrame implements LargeFrameSink {
  readonly #spilled: SpilledFrame
  readonly #done: (message: Buffer, spilled: SpilledFrame) => void
  readonly #kept: Buffer[] = []
  /** The fixed-size part in work. */
  #field = Buffer.alloc(messageStart + rowHeadBytes)
  #filled = 0
  #part: Part = 'head'
  /** Bytes of the part in work that have not come. */
  #left = messageStart + rowHeadBytes
  #cellsLeft = 0
  #cellBytes = 0

  constructor(spilled: SpilledFrame, done: (message: Buffer, spilled: SpilledFrame) => void) {
    this.#spilled = spilled
    this.#done = done
  }

  take(data: Buffer, from: number, to: number): void {
    for (let at = from; at < to; ) {
      const end = Math.min(at + this.#left, to)
      if (this.#part === 'spilled-cell') this.#spilled.append(data, at, end)
      else if (this.#part === 'cell') this.#kept.push(Buffer.from(data.subarray(at, end)))
      else this.#filled += data.copy(this.#field, this.#filled, at, end)
      this.#left -= end - at
      at = end
      if (this.#left === 0) this.#endPart()
    }
  }

  end(): void {
    invariant(
      this.#part === 'next-tuple' && this.#filled === 0,
      'A large row of the change stream ends where it should.',
    )
    this.#done(Buffer.concat(this.#kept), this.#spilled)
  }

  #endPart(): void {
    this.#after[this.#part](this.#field.subarray(0, this.#filled))
  }

  readonly #after: Readonly<Record<Part, (field: Buffer) => void>> = {
    'head': (field) => {
      const isRow = field[0] === messageType.copyData && rowMessages.has(field[messageStart] ?? 0)
      invariant(isRow, 'What is very large in the change stream is a row.')
      this.#keepAndExpect(field.subarray(messageStart), 'count', 2)
    },
    'count': (field) => {
      this.#kept.push(Buffer.from(field))
      this.#cellsLeft = field.readUInt16BE(0)
      this.#nextCell()
    },
    'kind': (field) => {
      this.#cellsLeft -= 1
      if (field[0] === cell.text) {
        this.#expect('length', 4)
        return
      }
      this.#kept.push(Buffer.from(field))
      this.#nextCell()
    },
    'length': (field) => this.#beginCell(field.readInt32BE(0)),
    'cell': () => this.#nextCell(),
    'spilled-cell': () => {
      this.#kept.push(cellHead(cell.spilled, referenceBytes), this.#spilled.finish(this.#cellBytes))
      this.#nextCell()
    },
    'next-tuple': (field) => this.#keepAndExpect(field, 'count', 2),
  }

  #beginCell(bytes: number): void {
    this.#cellBytes = bytes
    if (bytes >= spilledCellBytesLeast) {
      this.#expect('spilled-cell', bytes)
      return
    }
    this.#kept.push(cellHead(cell.text, bytes))
    if (bytes === 0) this.#nextCell()
    else this.#expect('cell', bytes)
  }

  /** Behind the last cell comes the other tuple of an update, or nothing. */
  #nextCell(): void {
    if (this.#cellsLeft > 0) this.#expect('kind', 1)
    else this.#expect('next-tuple', 1)
  }

  #keepAndExpect(field: Buffer, part: Part, bytes: number): void {
    this.#kept.push(Buffer.from(field))
    this.#expect(part, bytes)
  }

  #expect(part: Part, bytes: number): void {
    this.#part = part
    this.#left = bytes
    this.#filled = 0
  }
}

function cellHead(kind: number, bytes: number): Buffer {
  const head = Buffer.alloc(5)
  head[0] = kind
  head.writeInt32BE(bytes, 1)
  return head
}
