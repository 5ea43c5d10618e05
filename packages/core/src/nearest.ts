/** The candidate that `text` was probably meant to be, or undefined when none is near enough to be worth a hint. */
export function nearest(text: string, candidates: Iterable<string>): string | undefined {
  // A longer text is no slip of the fingers, and the distance of two long texts takes long to find.
  if (text.length > 40) return undefined
  let best: string | undefined
  let least = Math.max(2, Math.floor(text.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(text.toLowerCase(), candidate.toLowerCase())
    if (distance >= least || distance >= candidate.length) continue
    best = candidate
    least = distance
  }
  return best
}

/** How many letters must be added, left out, replaced or exchanged with their neighbour to make `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const exchanged = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
        exchanged ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    beforeLast = last
    last = current
  }
  return at(last, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
