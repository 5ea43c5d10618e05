import { expect, test } from 'vitest'
import { dueTimes, offsetInBursts } from './open-loop.ts'

const bursts = { everyMs: 10_000, lastMs: 1000, factor: 5 }

test('bursts change when something is due, and not how much', () => {
  const offsets = Array.from({ length: 4000 }, (_, n) => offsetInBursts(n, 200, bursts))
  expect(offsets.every((offset, n) => n === 0 || offset >= (offsets[n - 1] ?? 0))).toBe(true)
  const within = (from: number, to: number) => offsets.filter((offset) => offset >= from && offset < to).length
  expect(within(0, 10_000)).toBe(2000)
  expect(within(10_000, 20_000)).toBe(2000)
  // Five times as much in the first second as in each of the nine others: 5 of 14 parts.
  expect(within(0, 1000)).toBeCloseTo((2000 * 5) / 14, -1)
  expect(within(10_000, 11_000)).toBeCloseTo((2000 * 5) / 14, -1)
})

test('a caller that is held up gets what is overdue, with the time at which it was due', async () => {
  const stop = new AbortController()
  let now = 0
  const due: number[] = []
  for await (const dueMs of dueTimes({ rate: 10, nowMs: () => now, signal: stop.signal })) {
    due.push(dueMs)
    now = 1000
    if (due.length === 11) stop.abort()
  }
  expect(due).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000])
})
