/** Columns of a terminal as a small plot. */

const eighths = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

export interface ChartOptions {
  readonly width: number
  readonly height: number
  /** What fills a column; at least one. */
  readonly most: number
}

/** Lines from the top down; the last values stand at the right. What is more than nothing is never drawn as nothing. */
export function columnChart(values: readonly number[], { width, height, most }: ChartOptions): string[] {
  const shown = width > 0 ? values.slice(-width) : []
  const levels = shown.map((value) => {
    const level = Math.round((Math.min(value, most) / Math.max(most, Number.MIN_VALUE)) * height * 8)
    return value > 0 ? Math.max(1, level) : 0
  })
  const empty = ' '.repeat(width - shown.length)
  return Array.from({ length: height }, (_, index) => {
    const below = (height - 1 - index) * 8
    return empty + levels.map((level) => eighths[Math.min(8, Math.max(0, level - below))]).join('')
  })
}

/** Orders of magnitude instead of the values themselves: a second beside milliseconds stays readable. */
export function magnitude(value: number): number {
  return Math.log10(1 + Math.max(0, value))
}
