/** The property list of a content header (AMQP 0-9-1, section 4.2.6.1 and class basic): flags, then what they announce. */
import { type FieldTable, readTable, shortText, writeTable } from './field-table.ts'
import type { MessageProperties } from './source-message.ts'

type Kind = 'text' | 'octet' | 'table' | 'time'

export const headersFlag = 0x8000 >> 2
export const expirationFlag = 0x8000 >> 7

/** In the order of their flags, from bit 15 down. */
const layout: readonly (readonly [keyof MessageProperties, Kind])[] = [
  ['contentType', 'text'],
  ['contentEncoding', 'text'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'text'],
  ['replyTo', 'text'],
  ['expiration', 'text'],
  ['messageId', 'text'],
  ['timestamp', 'time'],
  ['type', 'text'],
  ['userId', 'text'],
  ['appId', 'text'],
  ['clusterId', 'text'],
]

/** Without decoding. */
export function hasExpiration(properties: Buffer): boolean {
  return (properties.readUInt16BE(0) & expirationFlag) !== 0
}

/** Where each property's bytes stand; those that are not there are left out. */
export function findPropertyBytes(properties: Buffer): Partial<Record<keyof MessageProperties, Buffer>> {
  const flags = properties.readUInt16BE(0)
  const found: Partial<Record<keyof MessageProperties, Buffer>> = {}
  let offset = 2
  for (const [index, [name, kind]] of layout.entries()) {
    if ((flags & (0x8000 >> index)) === 0) continue
    const end = endOf(properties, offset, kind)
    found[name] = properties.subarray(offset, end)
    offset = end
  }
  return found
}

/** Other bytes for properties that are there; the rest stays as it was, also what is no valid text. */
export function replaceProperties(
  properties: Buffer,
  changes: Partial<Record<keyof MessageProperties, Buffer>>,
): Buffer {
  const bytes = { ...findPropertyBytes(properties), ...changes }
  return Buffer.concat([properties.subarray(0, 2), ...layout.flatMap(([name]) => bytes[name] ?? [])])
}

export function readProperties(properties: Buffer): MessageProperties {
  const flags = properties.readUInt16BE(0)
  const found: Record<string, unknown> = {}
  let offset = 2
  for (const [index, [name, kind]] of layout.entries()) {
    if ((flags & (0x8000 >> index)) === 0) continue
    const [value, end] = readOne(properties, offset, kind)
    found[name] = value
    offset = end
  }
  return found as MessageProperties
}

export function writeProperties(properties: MessageProperties): Buffer {
  const parts: Buffer[] = [Buffer.alloc(2)]
  let flags = 0
  for (const [index, [name, kind]] of layout.entries()) {
    const value = properties[name]
    if (value === undefined) continue
    flags |= 0x8000 >> index
    parts.push(writeOne(value, kind))
  }
  parts[0]?.writeUInt16BE(flags)
  return Buffer.concat(parts)
}

function endOf(buffer: Buffer, at: number, kind: Kind): number {
  if (kind === 'octet') return at + 1
  if (kind === 'time') return at + 8
  return kind === 'table' ? at + 4 + buffer.readUInt32BE(at) : at + 1 + buffer.readUInt8(at)
}

function readOne(buffer: Buffer, at: number, kind: Kind): [unknown, number] {
  if (kind === 'octet') return [buffer.readUInt8(at), at + 1]
  if (kind === 'time') return [buffer.readBigUInt64BE(at), at + 8]
  if (kind === 'table') {
    const { table, end } = readTable(buffer, at)
    return [table, end]
  }
  const end = at + 1 + buffer.readUInt8(at)
  return [buffer.toString('utf8', at + 1, end), end]
}

function writeOne(value: unknown, kind: Kind): Buffer {
  if (kind === 'octet') return Buffer.of(value as number)
  if (kind === 'table') return writeTable(value as FieldTable)
  if (kind === 'text') return shortText(value as string)
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(value as bigint)
  return time
}
