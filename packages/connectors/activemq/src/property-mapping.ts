/**
 * Headers of AMQP 0-9-1 as application properties of AMQP 1.0, such as every consumer of ActiveMQ sees them whole:
 * scalars with their type, everything else as text, and what that loses once more, exactly, in `amqp_headers`.
 */
import type { FieldTable, FieldValue } from '@replatform/connector-rabbitmq/field-table'
import rhea from 'rhea'
import { decimalText, plainJson, textOf, writeExactHeaders } from './exact-headers.ts'

const { types } = rhea

/** A value as rhea encodes it. */
export type Property = string | boolean | null | ReturnType<typeof types.wrap_int>

export const exactHeadersProperty = 'amqp_headers'

/**
 * Names that would do something on ActiveMQ: `JMS…` makes the broker keep the message opaque or groups it, `AMQ_…`
 * schedules it, names of STOMP's own headers break its frames, and `amqp_…` are ours.
 */
const reserved =
  /^(jms|amq_|amqp_)|^(ack|content-length|content-type|correlation-id|destination|expires|heart-beat|id|message|message-id|original-destination|persistent|priority|receipt|receipt-id|redelivered|reply-to|selector|session|subscription|timestamp|transaction|transformation|type|version)$/i

/** STOMP has no way to write others in 1.0, and an empty name makes the broker keep the message opaque. */
const plainName = /^[A-Za-z_$][A-Za-z0-9_$.\-/]*$/

/** Those of the broker that delivered last, which no producer wrote. */
const deliveryHeaders: ReadonlySet<string> = new Set(['x-delivery-count', 'x-acquired-count'])

export function mapHeaders(table: FieldTable): Record<string, Property> {
  const headers = table.filter(([name]) => !deliveryHeaders.has(name))
  const properties: Record<string, Property> = {}
  const inexact: (readonly [string, FieldValue])[] = []
  for (const [name, field] of headers) {
    const mapped = mayStand(name) && !Object.hasOwn(properties, name) ? mapValue(field) : undefined
    if (mapped) properties[name] = mapped.property
    if (!mapped?.exact) inexact.push([name, field])
  }
  if (inexact.length > 0) properties[exactHeadersProperty] = writeExactHeaders(inexact)
  return properties
}

function mayStand(name: string): boolean {
  return plainName.test(name) && !reserved.test(name)
}

interface Mapped {
  readonly property: Property
  /** Whether type and value follow from the property as clients decode it, which tell numbers apart by value only. */
  readonly exact: boolean
}

const exactly = (property: Property): Mapped => ({ property, exact: true })
const nearly = (property: Property): Mapped => ({ property, exact: false })

/** Undefined where no property can hold it. */
function mapValue(field: FieldValue): Mapped | undefined {
  switch (field.type) {
    case 't':
      return exactly(field.value)
    case 'b':
      return nearly(types.wrap_byte(field.value))
    case 's':
      return nearly(types.wrap_short(field.value))
    case 'I':
      return exactly(types.wrap_int(field.value))
    case 'l':
      return nearly(wrapLong(field.value))
    // JMS has no unsigned numbers: the next wider one.
    case 'B':
      return nearly(types.wrap_short(field.value))
    case 'u':
      return nearly(types.wrap_int(field.value))
    case 'i':
      return nearly(wrapLong(BigInt(field.value)))
    case 'f':
      return nearly(types.wrap_float(field.value))
    case 'd':
      return {
        property: types.wrap_double(field.value),
        exact: Number.isFinite(field.value) && !Number.isInteger(field.value),
      }
    case 'D':
      return nearly(decimalText(field.value))
    case 'S': {
      const text = textOf(field.value)
      return text === undefined ? undefined : exactly(text)
    }
    case 'x':
      return nearly(field.value.toString('base64'))
    // A timestamp among the properties makes the broker keep the whole message opaque.
    case 'T':
      return field.value * 1000n > maxLong ? undefined : nearly(wrapLong(field.value * 1000n))
    case 'A':
    case 'F':
      return nearly(JSON.stringify(plainJson(field)))
    case 'V':
      return exactly(null)
  }
}

const maxLong = 2n ** 63n - 1n

/** rhea's numbers end at 2^53. */
export function wrapLong(value: bigint): Property {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return types.wrap_long(bytes as unknown as number)
}
