/**
 * Goal: applying the net effect of a batch leaves a table exactly as applying its changes one by one does.
 * Method: random histories of a few keys, with values left unsaid and keys that change; a map is the table.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChangeBatch, cellStarts, type NetChange } from './change-batch.ts'
import type { FollowedTable } from './followed-table.ts'
import { cell, cellEnd, type Tuple } from './pgoutput.ts'

const unsaid = Symbol('unchanged')
type Cell = string | null | typeof unsaid
type RowCells = [key: string, value: Cell, large: Cell]

const column = { type: 'text', typeOid: 25, isGenerated: false, isIdentityAlways: false, needsText: false }
const table: FollowedTable = {
  label: 'public.t',
  qualified: '"public"."t"',
  columns: ['k', 'value', 'large'].map((name) => ({ ...column, name })),
  key: [0],
  isFull: false,
  hasOtherUniques: true,
  skipBefore: 0n,
}

function encode(cells: readonly Cell[]): Tuple {
  const parts = cells.map((value) => {
    if (value === null) return Buffer.from([cell.null])
    if (value === unsaid) return Buffer.from([cell.unchanged])
    const bytes = Buffer.from(value)
    const head = Buffer.alloc(5)
    head[0] = cell.text
    head.writeInt32BE(bytes.length, 1)
    return Buffer.concat([head, bytes])
  })
  const count = Buffer.alloc(2)
  count.writeUInt16BE(cells.length)
  // A tuple rarely begins where its buffer does.
  const data = Buffer.concat([Buffer.from('prefix'), count, ...parts, Buffer.from('suffix')])
  return { data, at: 6, end: data.length - 6 }
}

function decode(tuple: Tuple): Cell[] {
  return [...cellStarts(tuple, 3)].slice(0, 3).map((at) => {
    if (tuple.data[at] === cell.null) return null
    if (tuple.data[at] === cell.unchanged) return unsaid
    return tuple.data.toString('utf8', at + 5, cellEnd(tuple.data, at))
  })
}

interface Step {
  readonly kind: 'write' | 'delete' | 'move'
  readonly key: string
  readonly to: string
  readonly value: string | null
  readonly leavesUnsaid: boolean
}

const keys = ['', 'a', '1', '01', '10', 'ă\u0000']
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('write', 'write', 'delete', 'move'),
  key: fc.constantFrom(...keys),
  to: fc.constantFrom(...keys),
  value: fc.option(fc.string({ maxLength: 3 })),
  leavesUnsaid: fc.boolean(),
})

type Model = Map<string, [Cell, Cell]>

/** Tells the batch what the source did to the model; steps that the source could not do are left out. */
function perform(step: Step, rows: Model, batch: ChangeBatch): void {
  const { kind, key, to, value } = step
  const row = rows.get(key)
  if (kind === 'write' && !row) {
    rows.set(key, [value, value])
    batch.insert(table, encode([key, value, value]))
  } else if (kind === 'write' && row) {
    const large = step.leavesUnsaid ? row[1] : value
    rows.set(key, [value, large])
    batch.update(table, null, encode([key, value, step.leavesUnsaid ? unsaid : value]))
  } else if (kind === 'delete' && row) {
    rows.delete(key)
    batch.delete(table, encode([key, null, null]))
  } else if (kind === 'move' && row && !rows.has(to)) {
    rows.delete(key)
    rows.set(to, [value, step.leavesUnsaid ? row[1] : value])
    batch.update(table, encode([key, null, null]), encode([to, value, step.leavesUnsaid ? unsaid : value]))
  }
}

/** What the applier does with a batch, on a map; throws where a change would not meet exactly one row. */
function applyBatch(target: Model, batch: ChangeBatch): void {
  for (const part of batch.parts) {
    if (part.kind === 'changes') for (const { net } of part.tables.values()) applyNet(target, [...net.values()])
    else if (part.kind === 'single' && part.change.kind === 'update') {
      const [oldKey] = decode(part.change.old)
      target.set(...moved(target, oldKey as string, decode(part.change.row) as RowCells))
    }
  }
}

function applyNet(target: Model, changes: readonly NetChange[]): void {
  const keyed = changes.map((change) => ({ ...change, id: decode(change.row ?? change.key)[0] as string }))
  for (const { row, existed, id } of keyed)
    if (!row && existed && !target.delete(id)) throw new Error('deleted nothing')
  for (const { row, existed, id } of keyed)
    if (row && existed) target.set(...moved(target, id, decode(row) as RowCells))
  for (const { row, existed, id } of keyed) {
    if (!row || existed) continue
    if (target.has(id)) throw new Error('inserted twice')
    const [, value, large] = decode(row) as RowCells
    expect([value, large]).not.toContain(unsaid)
    target.set(id, [value, large])
  }
}

function moved(target: Model, from: string, [to, value, large]: RowCells): [string, [Cell, Cell]] {
  const before = target.get(from)
  if (!before) throw new Error('updated nothing')
  target.delete(from)
  return [to, [value, large === unsaid ? before[1] : large]]
}

test('net effect equals one by one', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 12 }),
      fc.array(fc.array(step, { maxLength: 25 }), { maxLength: 3 }),
      (before, batches) => {
        const source: Model = new Map()
        for (const s of before) perform(s, source, new ChangeBatch())
        const target: Model = new Map(source)
        for (const steps of batches) {
          const batch = new ChangeBatch()
          for (const s of steps) perform(s, source, batch)
          applyBatch(target, batch)
          expect(sorted(target)).toEqual(sorted(source))
        }
      },
    ),
    { numRuns: 2_000 },
  )
})

function sorted(model: Model): [string, [Cell, Cell]][] {
  return [...model].sort(([a], [b]) => (a < b ? -1 : 1))
}
