/** A wave as a person sees it below its moves, and what was found out about its pause. */
import type { GateStatus, PausePrediction, RehearsalReport, WaveStatus } from '@replatform/control/api-types'
import { renderFindings } from './findings-view.ts'
import { nextCommands } from './move-view.ts'
import { formatDuration } from './quantities.ts'
import { summarizeCutover } from './steps-view.ts'
import type { Style } from './style.ts'
import { cell, cut, wrap } from './text-cells.ts'

export function renderWave(wave: WaveStatus, style: Style): string[] {
  const { colors, columns } = style
  const { name, phase, moves, pauseBudgetMs, prediction, lastCutover, next } = wave
  const expected = prediction ? ` · expected ${formatDuration(prediction.ms)}` : ''
  const about = `${phase} · ${moves.join(', ')} · pause at most ${formatDuration(pauseBudgetMs)}${expected}`
  const verb = lastCutover?.direction === 'reverse' ? 'rollback' : 'cutover'
  return [
    `${colors.bold(`wave ${name}`)}  ${colors.dim(cut(about, Math.max(1, columns - name.length - 7)))}`,
    ...(next === 'cutover' ? renderGates(wave.gates, style) : []),
    ...(lastCutover ? [cut(`  ${verb.padEnd(10)} ${summarizeCutover(lastCutover)}`, columns)] : []),
    ...trailingLines(wave).map((line) => cut(line, columns)),
    ...(next ? [`  next       ${colors.bold(cut(nextCommands(next, `--wave ${name}`), columns - 13))}`] : []),
  ]
}

/** When each move that trails was level with the wave. */
function trailingLines({ lastCutover }: WaveStatus): string[] {
  const levels = (lastCutover?.steps ?? []).filter(({ name }) => name.startsWith('level '))
  return levels.map(({ name, ms }) => {
    const how = ms === null ? 'not level yet' : `level ${formatDuration(ms)} after the wave`
    return `  trails     ${name.slice('level '.length)} · ${how}`
  })
}

export function renderGates(gates: readonly GateStatus[], { colors, columns }: Style): string[] {
  const color = { holds: colors.green, closed: colors.red, unknown: colors.yellow }
  const mark = { holds: '✓', closed: '✗', unknown: '?' }
  return gates.flatMap(({ name, state, detail }) => {
    const [first = '', ...others] = wrap(detail, columns - 15)
    const head = `  ${color[state](mark[state])} ${cell(name, 10)} ${first}`
    return [head, ...others.map((text) => `${' '.repeat(15)}${text}`)]
  })
}

export function renderPreview(
  { gates, prediction }: { readonly gates: readonly GateStatus[]; readonly prediction: PausePrediction | null },
  style: Style,
): string[] {
  return [
    ...(gates.length > 0 ? ['Gates now:', ...renderGates(gates, style), ''] : []),
    ...renderPrediction(prediction),
  ]
}

export function renderPrediction(prediction: PausePrediction | null): string[] {
  if (!prediction) return ['The pause cannot be predicted yet: nothing was measured. `replatform rehearse` does.']
  const parts = prediction.parts.map(
    ({ step, ms, by }) => `  ${cell(step, 16)} ${cell(formatDuration(ms), 8, 'right')}  ${by}`,
  )
  return [`The write pause is expected to take ${formatDuration(prediction.ms)}:`, ...parts]
}

export function renderRehearsal(report: RehearsalReport, style: Style) {
  const { passed, problems, steps, routings, prediction, findings } = report
  const { colors, columns } = style
  const lines = steps.map(({ step, ms, note }) => {
    const time = ms === null ? '-' : formatDuration(ms)
    return cut(`  ${cell(step, 16)} ${cell(time, 8, 'right')}  ${note}`, columns)
  })
  const verdict = passed ? colors.green('The rehearsal passed.') : colors.red('The rehearsal did not pass.')
  return [
    ...(findings.length > 0 ? [...renderFindings(findings, style), ''] : []),
    ...lines,
    '',
    ...routings.flatMap((routing) => wrap(describeRouting(routing), columns)),
    ...(routings.length > 0 ? [''] : []),
    ...renderPrediction(prediction),
    '',
    verdict,
    ...problems.flatMap((problem) => wrap(`- ${problem}`, columns)),
  ]
}

function describeRouting({ name, isTried, detail, felt }: RehearsalReport['routings'][number]): string {
  if (!isTried) return `${name}: not rehearsed: ${detail}`
  if (!felt) return `${name}: ${detail}`
  const { gapMs, answers, errors } = felt
  return `${name}: ${detail}; its client waited ${formatDuration(gapMs)} at most, with ${answers} answers and ${errors} errors`
}
