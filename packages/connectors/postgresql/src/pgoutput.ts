/**
 * Decodes pgoutput messages of protocol version 1 in place: rows stay ranges of the buffer they came in.
 * (PostgreSQL documentation, "Logical Replication Message Formats".)
 */
import { ReplatformError } from '@replatform/core/errors'
import type { Lsn } from './lsn.ts'
import type { SpilledFrame } from './spilled-frame.ts'

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** REPLICA IDENTITY FULL: the old tuple is the whole row. */
  readonly isFull: boolean
  readonly columns: readonly { readonly name: string; readonly typeOid: number }[]
}

export interface Commit {
  /** Where the commit record begins: what a snapshot's consistent point is compared with. */
  readonly lsn: Lsn
  /** Where it ends: the position once it is applied. */
  readonly end: Lsn
  /** Microseconds since 2000-01-01, by the source's clock. */
  readonly at: bigint
}

/** `data[at, …)` is a tuple: an int16 of cells, then per cell a kind and, for text, an int32 length and the bytes. */
export interface Tuple {
  readonly data: Buffer
  readonly at: number
  readonly end: number
  /** Where its large values are; undefined for all but very large rows. */
  readonly spilled?: SpilledFrame
}

export interface PgoutputHandler {
  begin(finalLsn: Lsn, at: bigint): void
  commit(commit: Commit): void
  relation(relation: Relation): void
  insert(oid: number, row: Tuple): void
  /** `old` is the replaced row's identity where it changed, or the whole row under REPLICA IDENTITY FULL. */
  update(oid: number, old: Tuple | null, row: Tuple): void
  delete(oid: number, old: Tuple): void
  truncate(oids: readonly number[], options: { readonly cascade: boolean; readonly restartIdentity: boolean }): void
}

export const cell = {
  null: 0x6e, // n
  unchanged: 0x75, // u
  text: 0x74, // t
  /** Ours: an int32 length and a reference into the row's `spilled` stand for the value. */
  spilled: 0x73, // s
} as const

/** A message that came whole: `data[at, end)`. */
export interface Message {
  readonly data: Buffer
  readonly at: number
  readonly end: number
  /** Where the large values of its row are; whoever takes it closes it. */
  readonly spilled?: SpilledFrame
}

/** The same for a row whose large values were set aside. */
export function decodeLarge({ data, at, end, spilled }: Required<Message>, handler: PgoutputHandler): void {
  const aside = (tuple: Tuple) => ({ ...tuple, spilled })
  decodePgoutput(data, at, end, {
    ...ignored,
    insert: (oid, row) => handler.insert(oid, aside(row)),
    update: (oid, old, row) => handler.update(oid, old && aside(old), aside(row)),
    delete: (oid, old) => handler.delete(oid, aside(old)),
  })
}

/** Nothing but a row is ever so large. */
const ignored = { begin() {}, commit() {}, relation() {}, truncate() {} }

export function decodePgoutput(data: Buffer, at: number, end: number, handler: PgoutputHandler): void {
  switch (data[at]) {
    case 0x49: {
      handler.insert(data.readUInt32BE(at + 1), { data, at: at + 6, end })
      return
    }
    case 0x55: {
      decodeUpdate(data, at, end, handler)
      return
    }
    case 0x44: {
      handler.delete(data.readUInt32BE(at + 1), { data, at: at + 6, end })
      return
    }
    case 0x42: {
      handler.begin(data.readBigUInt64BE(at + 1), data.readBigInt64BE(at + 9))
      return
    }
    case 0x43: {
      handler.commit({
        lsn: data.readBigUInt64BE(at + 2),
        end: data.readBigUInt64BE(at + 10),
        at: data.readBigInt64BE(at + 18),
      })
      return
    }
    case 0x52: {
      handler.relation(decodeRelation(data, at + 1))
      return
    }
    case 0x54: {
      const count = data.readInt32BE(at + 1)
      const flags = data.readUInt8(at + 5)
      const oids = Array.from({ length: count }, (_, i) => data.readUInt32BE(at + 6 + 4 * i))
      handler.truncate(oids, { cascade: (flags & 1) !== 0, restartIdentity: (flags & 2) !== 0 })
      return
    }
    // Type names, origins and logical messages say nothing that the target needs.
    case 0x59:
    case 0x4f:
    case 0x4d:
      return
    default:
      throw new ReplatformError('internal.invariant', {
        message: `The change stream holds a message of unknown type ${data[at]}.`,
      })
  }
}

function decodeUpdate(data: Buffer, at: number, end: number, handler: PgoutputHandler): void {
  const oid = data.readUInt32BE(at + 1)
  const first: Tuple = { data, at: at + 6, end }
  if (data[at + 5] === 0x4e) {
    handler.update(oid, null, first)
    return
  }
  const oldEnd = tupleEnd(data, at + 6)
  handler.update(oid, { data, at: at + 6, end: oldEnd }, { data, at: oldEnd + 1, end })
}

function decodeRelation(data: Buffer, start: number): Relation {
  let at = start
  const text = () => {
    const from = at
    at = data.indexOf(0, from) + 1
    return data.toString('utf8', from, at - 1)
  }
  const oid = data.readUInt32BE(at)
  at += 4
  const schema = text() || 'pg_catalog'
  const name = text()
  const isFull = data[at] === 0x66 // f
  const count = data.readUInt16BE(at + 1)
  at += 3
  const columns = Array.from({ length: count }, () => {
    at += 1
    const column = { name: text(), typeOid: data.readUInt32BE(at) }
    at += 8
    return column
  })
  return { oid, schema, name, isFull, columns }
}

/** Where a tuple that begins at `start` ends. */
export function tupleEnd(data: Buffer, start: number): number {
  let at = start + 2
  for (let left = data.readUInt16BE(start); left > 0; left--) at = cellEnd(data, at)
  return at
}

export function cellEnd(data: Buffer, at: number): number {
  const kind = data[at]
  return kind === cell.text || kind === cell.spilled ? at + 5 + data.readInt32BE(at + 1) : at + 1
}
