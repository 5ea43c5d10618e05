import type { Prices } from './price-file.ts'

export type Line = readonly [key: string, quantity: number]

/** A sum that is known, or the keys that it lacks: what has no price is never zero. */
export interface Bill {
  /** Millionths of a dollar a month; null where any price is missing. */
  readonly microUsd: number | null
  readonly unpriced: readonly string[]
}

/** Adds up lines of one region. Lines of which there are none cost nothing, whatever their price. */
export function billOf(lines: readonly Line[], prices: Prices, region: string): Bill {
  const wanted = lines.filter(([, quantity]) => quantity > 0)
  const priced = wanted.map(([key, quantity]) => ({ key, quantity, price: prices.monthly(key, region) }))
  const unpriced = [...new Set(priced.filter(({ price }) => price === undefined).map(({ key }) => key))]
  const sum = priced.reduce((total, { quantity, price = 0 }) => total + Math.round(quantity * price), 0)
  return { microUsd: unpriced.length > 0 ? null : sum, unpriced }
}
