/** A blocker stops `start`; a risk must be read; a note explains what will happen. */
export type Severity = 'blocker' | 'risk' | 'note'

/** Something that the assessment saw and that a person should know before the move. */
export interface Finding {
  /** Stable, dotted: `postgresql.table-without-key`. */
  readonly id: string
  readonly severity: Severity
  /** One sentence. */
  readonly title: string
  /** What was seen, as names and counts; never row values. At most a screenful: further items are counted. */
  readonly evidence: readonly string[]
  /** What to do, as exact as possible: an SQL statement, a setting. */
  readonly remedy: string
}

/** Cuts a list of evidence to a screenful and says how many were left out. */
export function evidence(items: readonly string[], most = 10): string[] {
  if (items.length <= most) return [...items]
  return [...items.slice(0, most), `… and ${items.length - most} more`]
}
