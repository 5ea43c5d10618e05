import type { Colors } from './io.ts'

/** What a view must know about the place that it is drawn on. */
export interface Style {
  readonly colors: Colors
  readonly columns: number
}
