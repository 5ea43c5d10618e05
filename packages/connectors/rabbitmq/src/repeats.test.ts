import { expect, test } from 'vitest'
import { hasBegunAnew, Repeats } from './repeats.ts'

const first = { redelivered: false }

function countOf(repeats: Repeats, deliveries: number): number {
  return Array.from({ length: deliveries }, () => repeats.mayRepeat(first)).filter(Boolean).length
}

test('as long as the source runs, only what it marks may repeat', () => {
  const repeats = new Repeats({ before: { run: { a: 100 }, recent: 40 }, run: { a: 101 }, window: 5, ready: 1_000 })
  expect(countOf(repeats, 100)).toBe(0)
  expect(repeats.mayRepeat({ redelivered: true })).toBe(true)
})

test('a source that began anew may have forgotten its last moments and what was under way', () => {
  const repeats = new Repeats({ before: { run: { a: 100 }, recent: 40 }, run: { a: 160 }, window: 5, ready: 1_000 })
  expect(countOf(repeats, 10)).toBe(10)
  // The mover that comes next counts on from there.
  const next = new Repeats({ before: repeats.forNext(10), run: { a: 160 }, window: 5, ready: 900 })
  expect(countOf(next, 100)).toBe(35)
})

test('nothing is in doubt of what came after the source began', () => {
  const repeats = new Repeats({ before: { run: { a: 100 }, recent: 40 }, run: { a: 160 }, window: 5, ready: 3 })
  expect(countOf(repeats, 100)).toBe(3)
  expect(repeats.forNext(100)).toEqual({ run: { a: 160 }, recent: 100 })
})

test('a node that is gone is a reason for doubt, one that was added is none', () => {
  expect(hasBegunAnew({ a: 100, b: 100 }, { a: 100 })).toBe(true)
  expect(hasBegunAnew({ a: 100 }, { a: 100, b: 900 })).toBe(false)
  expect(hasBegunAnew({ 'ID:one': 0 }, { 'ID:two': 0 })).toBe(true)
})
