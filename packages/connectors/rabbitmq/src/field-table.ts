/**
 * Tables of AMQP 0-9-1 with the exact type of every value, as RabbitMQ writes them ("AMQP 0-9-1 Errata", section 3:
 * `s` is a 16-bit integer and `l` a 64-bit one, unlike the specification).
 */
import { invariant } from '@replatform/core/errors'

/** `t` boolean · `b B s u I i l` integers · `f d` floats · `D` decimal · `S` text or bytes · `T` seconds · `V` void. */
export type FieldValue =
  | { readonly type: 't'; readonly value: boolean }
  | { readonly type: 'b' | 'B' | 's' | 'u' | 'I' | 'i' | 'f' | 'd'; readonly value: number }
  | { readonly type: 'l' | 'T'; readonly value: bigint }
  | { readonly type: 'D'; readonly value: { readonly scale: number; readonly unscaled: number } }
  | { readonly type: 'S' | 'x'; readonly value: Buffer }
  | { readonly type: 'A'; readonly value: readonly FieldValue[] }
  | { readonly type: 'F'; readonly value: FieldTable }
  | { readonly type: 'V'; readonly value: null }

/** In the order of the message; a name may be there twice. */
export type FieldTable = readonly (readonly [name: string, value: FieldValue])[]

export function findField(table: FieldTable | undefined, name: string): FieldValue | undefined {
  return table?.find(([key]) => key === name)?.[1]
}

/** Reads the table at `offset` (its 32-bit length first). */
export function readTable(buffer: Buffer, offset: number): { table: FieldTable; end: number } {
  const end = offset + 4 + buffer.readUInt32BE(offset)
  const reader = new FieldReader(buffer, offset + 4)
  const table: (readonly [string, FieldValue])[] = []
  while (reader.offset < end) table.push([reader.shortText(), reader.value()])
  invariant(reader.offset === end, 'A table of AMQP ends where it says.')
  return { table, end }
}

export function writeTable(table: FieldTable): Buffer {
  const fields = Buffer.concat(table.flatMap(([name, value]) => [shortText(name), writeValue(value)]))
  return Buffer.concat([uint32(fields.length), fields])
}

/** Names at the top of a table. */
export function fieldNames(table: Buffer): string[] {
  return fieldRanges(table).map(({ name }) => name)
}

/** The table without that field, all other bytes as they were. */
export function removeField(table: Buffer, name: string): Buffer {
  const kept = fieldRanges(table).filter((field) => field.name !== name)
  const fields = Buffer.concat(kept.map(({ start, end }) => table.subarray(start, end)))
  return Buffer.concat([uint32(fields.length), fields])
}

function fieldRanges(table: Buffer): { name: string; start: number; end: number }[] {
  const reader = new FieldReader(table, 4)
  const ranges: { name: string; start: number; end: number }[] = []
  while (reader.offset < table.length) {
    const start = reader.offset
    const name = reader.shortText()
    reader.value()
    ranges.push({ name, start, end: reader.offset })
  }
  return ranges
}

export function shortText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  invariant(bytes.length <= 255, 'A short text of AMQP has at most 255 bytes.')
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

/** Text as AMQP 0-9-1 clients write it. */
export function longText(text: string): FieldValue {
  return { type: 'S', value: Buffer.from(text, 'utf8') }
}

class FieldReader {
  offset: number
  readonly #buffer: Buffer

  constructor(buffer: Buffer, offset: number) {
    this.#buffer = buffer
    this.offset = offset
  }

  shortText(): string {
    const start = this.offset + 1
    this.offset = start + this.#buffer.readUInt8(this.offset)
    return this.#buffer.toString('utf8', start, this.offset)
  }

  value(): FieldValue {
    const type = String.fromCharCode(this.#buffer.readUInt8(this.offset++))
    const at = this.offset
    const buffer = this.#buffer
    switch (type) {
      case 't':
        return this.#took(1, { type, value: buffer.readUInt8(at) !== 0 })
      case 'b':
        return this.#took(1, { type, value: buffer.readInt8(at) })
      case 'B':
        return this.#took(1, { type, value: buffer.readUInt8(at) })
      case 's':
        return this.#took(2, { type, value: buffer.readInt16BE(at) })
      case 'u':
        return this.#took(2, { type, value: buffer.readUInt16BE(at) })
      case 'I':
        return this.#took(4, { type, value: buffer.readInt32BE(at) })
      case 'i':
        return this.#took(4, { type, value: buffer.readUInt32BE(at) })
      case 'l':
        return this.#took(8, { type, value: buffer.readBigInt64BE(at) })
      case 'f':
        return this.#took(4, { type, value: buffer.readFloatBE(at) })
      case 'd':
        return this.#took(8, { type, value: buffer.readDoubleBE(at) })
      case 'T':
        return this.#took(8, { type, value: buffer.readBigUInt64BE(at) })
      case 'D':
        return this.#took(5, { type, value: { scale: buffer.readUInt8(at), unscaled: buffer.readInt32BE(at + 1) } })
      case 'V':
        return { type, value: null }
      case 'S':
      case 'x': {
        const length = buffer.readUInt32BE(at)
        return this.#took(4 + length, { type, value: buffer.subarray(at + 4, at + 4 + length) })
      }
      case 'F': {
        const { table, end } = readTable(buffer, at)
        return this.#took(end - at, { type, value: table })
      }
      case 'A':
        return { type, value: this.#array() }
      default:
        invariant(false, `A field of AMQP has the type "${type}".`)
    }
  }

  #array(): FieldValue[] {
    const end = this.offset + 4 + this.#buffer.readUInt32BE(this.offset)
    this.offset += 4
    const values: FieldValue[] = []
    while (this.offset < end) values.push(this.value())
    return values
  }

  #took(bytes: number, value: FieldValue): FieldValue {
    this.offset += bytes
    return value
  }
}

function writeValue(field: FieldValue): Buffer {
  return Buffer.concat([Buffer.from(field.type, 'latin1'), writeBare(field)])
}

function writeBare(field: FieldValue): Buffer {
  switch (field.type) {
    case 't':
      return Buffer.of(field.value ? 1 : 0)
    case 'V':
      return Buffer.alloc(0)
    case 'S':
    case 'x':
      return Buffer.concat([uint32(field.value.length), field.value])
    case 'F':
      return writeTable(field.value)
    case 'A': {
      const items = Buffer.concat(field.value.map(writeValue))
      return Buffer.concat([uint32(items.length), items])
    }
    default:
      return writeNumber(field)
  }
}

type NumberField = Exclude<FieldValue, { readonly type: 't' | 'V' | 'S' | 'x' | 'F' | 'A' }>

function writeNumber(field: NumberField): Buffer {
  const buffer = Buffer.alloc(8)
  switch (field.type) {
    case 'b':
      return buffer.subarray(0, buffer.writeInt8(field.value))
    case 'B':
      return buffer.subarray(0, buffer.writeUInt8(field.value))
    case 's':
      return buffer.subarray(0, buffer.writeInt16BE(field.value))
    case 'u':
      return buffer.subarray(0, buffer.writeUInt16BE(field.value))
    case 'I':
      return buffer.subarray(0, buffer.writeInt32BE(field.value))
    case 'i':
      return buffer.subarray(0, buffer.writeUInt32BE(field.value))
    case 'f':
      return buffer.subarray(0, buffer.writeFloatBE(field.value))
    case 'd':
      return buffer.subarray(0, buffer.writeDoubleBE(field.value))
    case 'l':
      return buffer.subarray(0, buffer.writeBigInt64BE(field.value))
    case 'T':
      return buffer.subarray(0, buffer.writeBigUInt64BE(field.value))
    case 'D':
      return buffer.subarray(0, buffer.writeInt32BE(field.value.unscaled, buffer.writeUInt8(field.value.scale)))
  }
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}
