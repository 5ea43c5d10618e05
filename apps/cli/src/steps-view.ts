/** The steps of an operation: those of a dry run, and those of a cutover as they happen. */
import type { CutoverStatus, StepStatus } from '@replatform/control/api-types'
import { formatDuration } from './quantities.ts'
import type { Style } from './style.ts'
import { cell, wrap } from './text-cells.ts'

const nameWidth = 18
const timeWidth = 8

/** One line a step, with its mark and its time; the description as far as it fits. */
export function renderSteps(steps: readonly StepStatus[], { colors, columns }: Style): string[] {
  const descriptionWidth = Math.max(10, columns - 4 - nameWidth - 1 - timeWidth - 1)
  return steps.map((step) => {
    const { mark, color } = looks(step, colors)
    const time = step.ms === null ? (step.state === 'running' ? 'now' : '') : formatDuration(step.ms)
    const text = `${cell(step.name, nameWidth)} ${cell(step.description, descriptionWidth)} ${cell(time, timeWidth, 'right')}`
    return `  ${color(`${mark} ${text}`)}`
  })
}

/** For a dry run: every step with its whole sentence. */
export function renderPlan(steps: readonly StepStatus[], { colors, columns }: Style): string[] {
  const numberWidth = String(steps.length).length
  const indent = 2 + numberWidth + 2 + nameWidth + 1
  return steps.flatMap((step, index) => {
    const [first = '', ...others] = wrap(step.description, Math.max(20, columns - indent))
    const head = `  ${cell(String(index + 1), numberWidth, 'right')}. ${colors.bold(cell(step.name, nameWidth))} ${first}`
    return [head, ...others.map((text) => ' '.repeat(indent) + text)]
  })
}

/** `committed, write pause 412 ms of at most 2.0 s (predicted 380 ms, 8 % more)`. */
export function summarizeCutover({ outcome, pauseMs, budgetMs, predictedMs }: CutoverStatus): string {
  if (pauseMs === null) return outcome
  const pause = `${outcome}, write pause ${formatDuration(pauseMs)} of at most ${formatDuration(budgetMs)}`
  if (predictedMs === null || predictedMs <= 0 || outcome !== 'committed') return pause
  const error = Math.round((100 * (pauseMs - predictedMs)) / predictedMs)
  const how = error === 0 ? 'as it was' : `${Math.abs(error)} % ${error > 0 ? 'more' : 'less'}`
  return `${pause} (predicted ${formatDuration(predictedMs)}, ${how})`
}

function looks({ state }: StepStatus, colors: Style['colors']) {
  switch (state) {
    case 'done':
      return { mark: '✓', color: colors.green }
    case 'running':
      return { mark: '▶', color: colors.cyan }
    case 'failed':
      return { mark: '✗', color: colors.red }
    case 'skipped':
      return { mark: '-', color: colors.dim }
    case 'planned':
      return { mark: '·', color: colors.dim }
  }
}
