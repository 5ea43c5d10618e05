import type { Retry } from '../errors.ts'

/** What a code means; `docs/errors.md` is generated from this table and a test holds them together. */
export interface CatalogueEntry {
  readonly retry: Retry
  /** What happened, in general. The error's own message says it in particular. */
  readonly meaning: string
  readonly untouched: string
  readonly next: string
}

export const nothingTouched = 'Nothing was changed on either side.'
export const progressKept = 'Everything that was committed on the target stays; the source is unchanged.'
