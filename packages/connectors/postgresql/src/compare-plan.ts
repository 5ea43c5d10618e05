/**
 * How a pair of tables is read for comparison: what rows are ordered by, and what their digest is made of. Both sides
 * run the same plan, so they agree on the order whatever their collations, ICU versions and type releases.
 */
import type { Column, Table } from './catalog.ts'
import { ident } from './sql.ts'

/** How the bytes of a key, as COPY BINARY sends them, are ordered. */
export type KeyOrder = 'signed' | 'bytes'

export interface ComparePlan {
  readonly source: Table
  readonly target: Table
  /** Columns of both sides, in the source's order. */
  readonly columns: readonly ComparedColumn[]
  /** Columns that only one side has. */
  readonly unpaired: readonly string[]
  readonly key: readonly KeyColumn[]
  /** Rows come as they are: they are so short that a digest would cost more than it saves. */
  readonly sendsRows: boolean
}

export interface ComparedColumn {
  readonly name: string
  /** Its binary form means the same on both servers; otherwise its text is compared. */
  readonly isBinary: boolean
}

export interface KeyColumn {
  readonly name: string
  readonly order: KeyOrder
  /** The column's own type on either side where it is sent as it is, text otherwise. */
  readonly isNative: boolean
  /** An integer or a uuid: says nothing about a person. */
  readonly isPlain: boolean
}

/** By object id: types whose binary form has the order of the server's own index, so that the index gives the order. */
const nativeOrders: ReadonlyMap<number, KeyOrder> = new Map([
  ...[20, 21, 23, 1082, 1083, 1114, 1184].map((oid) => [oid, 'signed'] as const), // int8, int2, int4, date, times
  ...[16, 17, 25, 26, 1043, 2950].map((oid) => [oid, 'bytes'] as const), // bool, bytea, text, oid, varchar, uuid
])
const firstUserOid = 16_384
const collatable = new Set([25, 1043])
const plain = new Set([20, 21, 23, 26, 2950])
/** On average, with the row's header of 28 bytes; above it digests are cheaper for the servers and for the line. */
const sentBytesMost = 256
/** A single row may be very large where most are short: with more than this beside its pages, digests are compared. */
const asideBytesMost = 1024 * 1024
/** A result has a limit of 1,664 columns, and the key may stand in it twice. */
const sentColumnsMost = 100

/** Without a key on the source, or with one that the target's columns lack, rows are ordered by their digest. */
export function planCompare(source: Table, target: Table, key: readonly string[] = source.key): ComparePlan {
  const onSource = new Map(source.columns.map((column) => [column.name, column]))
  const onTarget = new Map(target.columns.map((column) => [column.name, column]))
  const isKeyed = key.length > 0 && key.every((name) => onSource.has(name) && onTarget.has(name))
  const isShort = source.rows > 0 && source.bytes / source.rows <= sentBytesMost && !mayHoldLargeRows(source)
  return {
    source,
    target,
    columns: source.columns
      .filter(({ name }) => onTarget.has(name))
      .map(({ name }) => ({ name, isBinary: isBinary(onSource.get(name), onTarget.get(name)) })),
    unpaired: [
      ...[...onSource.keys()].filter((name) => !onTarget.has(name)),
      ...[...onTarget.keys()].filter((name) => !onSource.has(name)),
    ],
    key: isKeyed ? key.map((name) => keyColumn(name, onSource.get(name), onTarget.get(name))) : [],
    sendsRows: isKeyed && isShort && source.columns.length <= sentColumnsMost,
  }
}

/** Its maps of free and visible pages take a thousandth of its pages at most, and 64 kB in a small table. */
function mayHoldLargeRows({ bytes, blocks }: Table): boolean {
  const pages = blocks * 8_192
  return bytes - pages * 1.001 > asideBytesMost
}

/** Types made by users, and names of catalogue objects, are numbered by each cluster for itself. */
function isBinary(source: Column | undefined, target: Column | undefined): boolean {
  if (!source || source.typeOid !== target?.typeOid || source.needsText || target.needsText) return false
  return source.typeOid < firstUserOid
}

function keyColumn(name: string, source: Column | undefined, target: Column | undefined): KeyColumn {
  const oid = source?.typeOid ?? 0
  const native = oid === target?.typeOid ? nativeOrders.get(oid) : undefined
  return { name, order: native ?? 'bytes', isNative: native !== undefined, isPlain: plain.has(oid) }
}

/**
 * Every row of one side in the common order: its key columns, or nothing without a key, then its digest or whatever
 * else the row holds.
 */
export function readInOrder(plan: ComparePlan, side: Table, isResumed = false): string {
  const keys = plan.key.map((column) => keyExpression(column, side))
  const order = keys.length > 0 ? keys : ['digest']
  const said = new Set(plan.key.filter(({ isNative }) => isNative).map(({ name }) => name))
  const rest = plan.sendsRows
    ? plan.columns.filter(({ name }) => !said.has(name)).map(comparedValue)
    : [`${digest(plan.columns)} AS digest`]
  const fields = [...keys.map((key, i) => `${key} AS k${i}`), ...rest]
  return `COPY (SELECT ${fields.join(', ')} FROM ONLY ${side.qualified} AS t
    ${isResumed ? fromNext(plan, side) : ''} ORDER BY ${order.join(', ')})
    TO STDOUT (FORMAT binary)`
}

/** The values stand in settings of the session: in the statement itself they would be for everybody to see. */
function fromNext(plan: ComparePlan, side: Table): string {
  const values = plan.key.map(({ name, isNative }, i) => {
    const type = side.columns.find((column) => column.name === name)?.type ?? 'text'
    return `current_setting('${nextKeySetting(i)}')${isNative ? `::${type}` : ''}`
  })
  return `WHERE (${plan.key.map((column) => keyExpression(column, side)).join(', ')}) >= (${values.join(', ')})`
}

/** Where the key that is read next stands, column by column. */
export function nextKeySetting(i: number): string {
  return `replatform.next_key_${i}`
}

function keyExpression({ name, isNative }: KeyColumn, side: Table): string {
  const type = side.columns.find((column) => column.name === name)?.typeOid ?? 0
  if (!isNative) return `t.${ident(name)}::text COLLATE "C"`
  return collatable.has(type) ? `t.${ident(name)} COLLATE "C"` : `t.${ident(name)}`
}

/**
 * 128 bits over the row's binary form, which marks nulls and carries lengths, so that no two rows look alike; sha256,
 * because servers that keep to FIPS refuse md5. Twice as fast as over the row's text, and as exact as the copy.
 */
export function digest(columns: readonly ComparedColumn[]): string {
  return `substr(sha256(record_send(ROW(${columns.map(comparedValue).join(', ')}))), 1, 16)`
}

/** One column's value as the digest takes it. */
export function comparedValue({ name, isBinary }: ComparedColumn): string {
  return isBinary ? `t.${ident(name)}` : `t.${ident(name)}::text`
}
