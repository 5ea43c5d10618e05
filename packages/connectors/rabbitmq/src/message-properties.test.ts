import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FieldTable, type FieldValue, findField, removeField, writeTable } from './field-table.ts'
import { forwardedProperties } from './forwarded-properties.ts'
import { readProperties, writeProperties } from './message-properties.ts'

const leaf: fc.Arbitrary<FieldValue> = fc.oneof(
  fc.record({ type: fc.constant('t' as const), value: fc.boolean() }),
  fc.record({ type: fc.constant('b' as const), value: fc.integer({ min: -128, max: 127 }) }),
  fc.record({ type: fc.constant('B' as const), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ type: fc.constant('s' as const), value: fc.integer({ min: -32_768, max: 32_767 }) }),
  fc.record({ type: fc.constant('u' as const), value: fc.integer({ min: 0, max: 65_535 }) }),
  fc.record({ type: fc.constant('I' as const), value: fc.integer() }),
  fc.record({ type: fc.constant('i' as const), value: fc.integer({ min: 0, max: 4_294_967_295 }) }),
  fc.record({ type: fc.constant('l' as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ type: fc.constant('T' as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ type: fc.constant('f' as const), value: fc.float({ noNaN: true }) }),
  fc.record({ type: fc.constant('d' as const), value: fc.double({ noNaN: true }) }),
  fc.record({
    type: fc.constant('D' as const),
    value: fc.record({ scale: fc.integer({ min: 0, max: 255 }), unscaled: fc.integer() }),
  }),
  fc.record({ type: fc.constantFrom('S' as const, 'x' as const), value: fc.uint8Array().map(Buffer.from) }),
  fc.constant({ type: 'V' as const, value: null }),
)
const name = fc.string({ maxLength: 20 })
const { value } = fc.letrec<{ value: FieldValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({ type: fc.constant('A' as const), value: fc.array(tie('value'), { maxLength: 4 }) }),
    fc.record({ type: fc.constant('F' as const), value: fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }) }),
  ) as fc.Arbitrary<FieldValue>,
}))
const table = fc.array(fc.tuple(name, value), { maxLength: 6 }) as fc.Arbitrary<FieldTable>

test('every type of a header is read as it was written, to the byte', () => {
  fc.assert(
    fc.property(table, (headers) => {
      const written = writeProperties({ headers, messageId: 'm', deliveryMode: 2, timestamp: 5n })
      const read = readProperties(written)
      expect(read).toMatchObject({ messageId: 'm', deliveryMode: 2, timestamp: 5n })
      expect(writeProperties(read)).toEqual(written)
    }),
  )
})

test('what is forwarded differs in the delivery count alone', () => {
  fc.assert(
    fc.property(table, (headers) => {
      const others = headers.filter(([key]) => key !== 'x-delivery-count')
      const counted: FieldTable = [...others, ['x-delivery-count', { type: 'l', value: 3n }]]
      const properties = { contentType: 'a/b', priority: 4, replyTo: 'r' }
      expect(forwardedProperties(writeProperties({ ...properties, headers: counted }), 0)).toEqual(
        writeProperties({ ...properties, headers: others }),
      )
      expect(removeField(writeTable(others), 'x-delivery-count')).toEqual(writeTable(others))
    }),
  )
})

test('a time to live is what remains of it, where the message tells how long it has waited', () => {
  const left = (properties: Parameters<typeof writeProperties>[0]) =>
    readProperties(forwardedProperties(writeProperties(properties), 100_000)).expiration
  expect(left({ expiration: '60000', timestamp: 70n })).toBe('30000')
  expect(left({ expiration: '60000' })).toBe('60000')
  // Not believable: the source would have let it lapse, the clock is behind, or it counts milliseconds.
  expect(left({ expiration: '60000', timestamp: 10n })).toBe('60000')
  expect(left({ expiration: '60000', timestamp: 101n })).toBe('60000')
  expect(left({ expiration: '60000', timestamp: 100_000n })).toBe('60000')
  expect(findField([['a', { type: 'V', value: null }]], 'a')).toEqual({ type: 'V', value: null })
})
