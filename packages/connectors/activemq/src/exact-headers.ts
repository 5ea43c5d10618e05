/** Headers of AMQP 0-9-1 with the exact type of each, as text: what a property of ActiveMQ cannot hold travels in it. */
import type { FieldTable, FieldValue } from '@replatform/connector-rabbitmq/field-table'
import { invariant } from '@replatform/core/errors'

/** `[name, type, value]`; bytes in base64, 64-bit integers and doubles that JSON lacks as text. */
type ExactEntry = readonly [name: string, type: string, value: unknown]

/** JSON of the table, in its order; a name may be there twice. */
export function writeExactHeaders(table: FieldTable): string {
  return JSON.stringify(table.map(([name, field]) => [name, field.type, exactValue(field)]))
}

/** The inverse. Throws when the text did not come from `writeExactHeaders`. */
export function readExactHeaders(text: string): FieldTable {
  return (JSON.parse(text) as ExactEntry[]).map(([name, type, value]) => [name, fieldOf(type, value)])
}

/** The value alone, as JSON that consumers can read without knowing of types. */
export function plainJson(field: FieldValue): unknown {
  switch (field.type) {
    case 'A':
      return field.value.map(plainJson)
    case 'F':
      return Object.fromEntries(field.value.map(([name, inner]) => [name, plainJson(inner)]))
    case 'S':
      return textOf(field.value) ?? field.value.toString('base64')
    case 'x':
      return field.value.toString('base64')
    case 'l':
    case 'T':
      return safeInteger(field.value)
    case 'D':
      return decimalText(field.value)
    default:
      return field.value
  }
}

/** Undefined where the bytes are no UTF-8. */
export function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  return text.includes('\uFFFD') && !Buffer.from(text, 'utf8').equals(bytes) ? undefined : text
}

export function decimalText({ scale, unscaled }: { readonly scale: number; readonly unscaled: number }): string {
  if (scale === 0) return String(unscaled)
  const digits = String(Math.abs(unscaled)).padStart(scale + 1, '0')
  return `${unscaled < 0 ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

function safeInteger(value: bigint): number | string {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value)
}

function exactValue(field: FieldValue): unknown {
  switch (field.type) {
    case 'A':
      return field.value.map((inner) => [inner.type, exactValue(inner)])
    case 'F':
      return field.value.map(([name, inner]) => [name, inner.type, exactValue(inner)])
    case 'S':
    case 'x':
      return field.value.toString('base64')
    case 'l':
    case 'T':
      return String(field.value)
    case 'f':
    case 'd':
      return Object.is(field.value, -0) ? '-0' : Number.isFinite(field.value) ? field.value : String(field.value)
    default:
      return field.value
  }
}

function fieldOf(type: string, value: unknown): FieldValue {
  switch (type) {
    case 'A':
      return { type, value: (value as [string, unknown][]).map(([inner, item]) => fieldOf(inner, item)) }
    case 'F':
      return { type, value: (value as ExactEntry[]).map(([name, inner, item]) => [name, fieldOf(inner, item)]) }
    case 'S':
    case 'x':
      return { type, value: Buffer.from(String(value), 'base64') }
    case 'l':
    case 'T':
      return { type, value: BigInt(String(value)) }
    case 'f':
    case 'd':
      return { type, value: Number(value) }
    default:
      invariant('tbBsuIiDV'.includes(type), 'A header that was written exactly has a type of AMQP 0-9-1.')
      return { type, value } as FieldValue
  }
}
