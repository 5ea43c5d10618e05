import { type Position, position } from '@replatform/core/position'

/** A place in PostgreSQL's write-ahead log, in bytes from its beginning; written `16/B374D848`. */
export type Lsn = bigint

export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
  if (!match) throw new TypeError('not a log sequence number')
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

export function formatLsn(lsn: Lsn): Position {
  return position(`${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase())
}

export function later(a: Lsn, b: Lsn): Lsn {
  return a < b ? b : a
}
