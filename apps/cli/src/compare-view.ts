import { type CompareReport, type CompareResult, isEqual } from '@replatform/core/difference'
import { formatCount, formatDuration } from './quantities.ts'
import type { Style } from './style.ts'
import { cell, cut } from './text-cells.ts'

const countWidth = 11
const counts = ['processed', 'matching', 'mismatched', 'missing', 'extra'] as const

/** A line a table with the five counts; below those that differ, the keys that were sampled. */
export function renderCompare(report: CompareReport, style: Style): string[] {
  const { colors, columns } = style
  const nameWidth = Math.max(10, Math.min(40, columns - 2 - counts.length * countWidth))
  const head = `  ${cell('table', nameWidth)}${counts.map((name) => cell(name, countWidth, 'right')).join('')}`
  return [
    colors.dim(head),
    ...report.results.flatMap((result) => tableLines(result, nameWidth, style)),
    '',
    cut(verdict(report), columns),
    ...remarks(report).map((line) => cut(line, columns)),
  ]
}

function tableLines(result: CompareResult, nameWidth: number, { colors, columns }: Style): string[] {
  const { name, processed, matching, mismatched, missing, extra } = result
  const figures = [processed, matching, mismatched, missing, extra].map((figure) =>
    cell(formatCount(figure), countWidth, 'right'),
  )
  const line = `  ${cell(name, nameWidth)}${figures.join('')}`
  const samples = result.samples.map(({ kind, key, columns: fields }) => {
    const where = fields && fields.length > 0 ? ` in ${fields.join(', ')}` : ''
    return colors.red(cut(`    ${kind} ${key}${where}`, columns))
  })
  return [isEqual(result) ? line : colors.red(line), ...samples]
}

function remarks({ results, pauseSeconds }: CompareReport): string[] {
  const repaired = results.reduce((sum, result) => sum + (result.repaired ?? 0), 0)
  const resumed = results.reduce((sum, result) => sum + (result.resumed ?? 0), 0)
  return [
    ...(resumed > 0
      ? [`${formatCount(resumed)} of them had been found equal by a comparison that was interrupted.`]
      : []),
    ...(repaired > 0 ? [`${formatCount(repaired)} of them differed and were repaired.`] : []),
    ...results.flatMap(({ name, mayRepeat }) =>
      mayRepeat ? [`${name}: up to ${formatCount(mayRepeat)} may have been delivered twice; its inbox tells.`] : [],
    ),
    ...(pauseSeconds === undefined
      ? []
      : [`A rollback compares all of it in its pause: about ${formatDuration(pauseSeconds * 1_000)}.`]),
  ]
}

function verdict({ equal, results, at, seconds }: CompareReport): string {
  const rows = results.reduce((sum, { processed }) => sum + processed, 0)
  const differing = results.filter((result) => !isEqual(result)).length
  const what = equal ? 'Both sides are equal' : `${differing} of ${results.length} tables differ`
  return `${what}: ${formatCount(rows)} rows at ${at}, in ${formatDuration(seconds * 1_000)}.`
}
