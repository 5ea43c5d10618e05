import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editDistance, nearest } from './nearest.ts'

describe('nearest', () => {
  it.each([
    ['kin', ['url', 'kind', 'service'], 'kind'],
    ['soruce', ['source', 'target'], 'source'],
    ['Stores', ['stores', 'waves'], 'stores'],
    ['pause_budget', ['phase', 'pauseBudget'], 'pauseBudget'],
    ['zzz', ['url', 'kind'], undefined],
    ['x', ['url', 'kind'], undefined],
  ])('%s of %j is %s', (text, candidates, expected) => {
    expect(nearest(text, candidates)).toBe(expected)
  })
})

describe('editDistance', () => {
  it('counts an exchange of neighbours as one', () => {
    expect(editDistance('ledegr', 'ledger')).toBe(1)
  })

  it('is symmetric, and zero only for the same text', () => {
    const text = fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'b', 'c') })
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a))
        expect(editDistance(a, b) === 0).toBe(a === b)
      }),
    )
  })
})
