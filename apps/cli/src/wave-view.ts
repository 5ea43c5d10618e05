/** A wave as a person sees it below its moves. */
import type { WaveStatus } from '@replatform/control/api-types'
import { nextCommands } from './move-view.ts'
import { formatDuration } from './quantities.ts'
import { summarizeCutover } from './steps-view.ts'
import type { Style } from './style.ts'
import { cut } from './text-cells.ts'

export function renderWave(wave: WaveStatus, { colors, columns }: Style): string[] {
  const { name, phase, moves, pauseBudgetMs, lastCutover, next } = wave
  const about = `${phase} · ${moves.join(', ')} · pause at most ${formatDuration(pauseBudgetMs)}`
  const verb = lastCutover?.direction === 'reverse' ? 'rollback' : 'cutover'
  return [
    `${colors.bold(`wave ${name}`)}  ${colors.dim(cut(about, Math.max(1, columns - name.length - 7)))}`,
    ...(lastCutover ? [cut(`  ${verb.padEnd(10)} ${summarizeCutover(lastCutover)}`, columns)] : []),
    ...(next ? [`  next       ${colors.bold(cut(nextCommands(next, `--wave ${name}`), columns - 13))}`] : []),
  ]
}
