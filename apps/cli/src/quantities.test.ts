import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatBytes, formatCount, formatDuration, percent } from './quantities.ts'

describe('figures as people read them', () => {
  it.each([
    [0, '0'],
    [9_999, '9,999'],
    [12_345, '12.3k'],
    [1_234_567, '1.2M'],
    [999_950, '1.0M'],
    [123_456_789, '123M'],
  ])('count %d is %s', (count, text) => expect(formatCount(count)).toBe(text))

  it.each([
    [512, '512 B'],
    [999.7, '1.0 kB'],
    [34_000_000, '34.0 MB'],
    [999_999_999, '1.0 GB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  it.each([
    [0.4, '0 ms'],
    [450, '450 ms'],
    [999.6, '1.0 s'],
    [12_000, '12 s'],
    [80_000, '1m 20s'],
    [7_500_000, '2h 05m'],
    [273_600_000, '3d 04h'],
  ])('%d ms are %s', (ms, text) => expect(formatDuration(ms)).toBe(text))

  it('none is wider than eight characters', () => {
    const amount = fc.double({ min: 0, max: 1e15, noNaN: true })
    fc.assert(
      fc.property(amount, (value) => {
        for (const format of [formatCount, formatBytes]) expect(format(value).length).toBeLessThanOrEqual(8)
        expect(formatDuration(value).length).toBeLessThanOrEqual(8)
      }),
    )
  })

  it('shows 100 % only when all is done', () => {
    expect(percent(999_999, 1_000_000)).toBe(99)
    expect(percent(1_000_001, 1_000_000)).toBe(100)
    expect(percent(0, 0)).toBe(100)
  })
})
