/** Headers of every type that AMQP 0-9-1 has, with values at their edges. */
import { type FieldTable, longText } from '../field-table.ts'

export const scalarHeaders: FieldTable = [
  ['bool', { type: 't', value: true }],
  ['int8', { type: 'b', value: -5 }],
  ['uint8', { type: 'B', value: 200 }],
  ['int16', { type: 's', value: -300 }],
  ['uint16', { type: 'u', value: 60_000 }],
  ['int32', { type: 'I', value: -70_000 }],
  ['uint32', { type: 'i', value: 4_000_000_000 }],
  ['int64', { type: 'l', value: -(2n ** 63n) }],
  ['float', { type: 'f', value: 1.5 }],
  ['double', { type: 'd', value: 0.1 }],
  ['text', longText('a\nb:c\\ €😀')],
  ['bytes', { type: 'x', value: Buffer.from([0, 1, 255]) }],
  ['time', { type: 'T', value: 1_700_000_000n }],
]

export const headersOfEveryType: FieldTable = [
  ...scalarHeaders,
  ['decimal', { type: 'D', value: { scale: 2, unscaled: -1999 } }],
  ['no-text', { type: 'S', value: Buffer.from([0xff, 0, 0xfe]) }],
  ['void', { type: 'V', value: null }],
  ['array', { type: 'A', value: [{ type: 'I', value: 1 }, longText('two')] }],
  ['table', { type: 'F', value: [['inner', { type: 'l', value: 2n ** 62n }]] }],
]
