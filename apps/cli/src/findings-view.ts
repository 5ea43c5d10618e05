import type { Finding, Severity } from '@replatform/core/finding'
import type { Style } from './style.ts'
import { cut, wrap } from './text-cells.ts'

const order: readonly Severity[] = ['blocker', 'risk', 'note']

/** Blockers first; each with what was seen and what to do. */
export function renderFindings(findings: readonly Finding[], { colors, columns }: Style): string[] {
  const color = { blocker: colors.red, risk: colors.yellow, note: colors.cyan }
  const inOrder = findings.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
  const width = columns - 4
  const blocks = inOrder.flatMap(({ id, severity, title, evidence, remedy }) => [
    `${color[severity](severity)}  ${colors.bold(cut(id, columns - 10))}`,
    ...wrap(title, width).map((text) => `  ${text}`),
    ...evidence.map((item) => colors.dim(`    ${cut(item, width)}`)),
    ...wrap(`→ ${remedy}`, width).map((text, index) => `  ${index === 0 ? '' : '  '}${text}`),
    '',
  ])
  return [...blocks, summarizeFindings(findings)]
}

export function summarizeFindings(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'Nothing was found that speaks against the move.'
  const counts = order.map((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length
    return `${count} ${severity}${count === 1 ? '' : 's'}`
  })
  return `${counts.join(', ')}.`
}
