/** One move as a person watches it; the same lines whether they are drawn once or again and again. */
import type { CutoverStatus, FollowStatus, LoadStatus, MoveStatus } from '@replatform/control/api-types'
import type { MoveState } from '@replatform/core/move'
import { isLoaded, renderLoad } from './load-view.ts'
import { formatBytes, formatCount, formatDuration } from './quantities.ts'
import { renderSteps, summarizeCutover } from './steps-view.ts'
import type { Style } from './style.ts'
import type { TableRates } from './table-rates.ts'
import { cut, wrap } from './text-cells.ts'

export interface MoveViewOptions extends Style {
  readonly rates?: TableRates
  /** Lines that tables may take; the rest of the view takes at most a dozen, and a cutover its steps. */
  readonly mostTables?: number
}

export function renderMove(move: MoveStatus, options: MoveViewOptions): string[] {
  const { colors, columns } = options
  const cutover = cutoverInWork(move)
  return [
    headline(move, options),
    ...(cutover ? renderCutover(cutover, options) : renderFlow(move, options)),
    ...renderHistory(move, options),
    ...(move.paused ? renderPause(move.paused, options) : []),
    ...(move.next ? [`  next       ${colors.bold(cut(nextCommands(move.next, move.name), columns - 13))}`] : []),
  ]
}

/** `replatform rollback ledger, or replatform finalize ledger`. */
export function nextCommands(next: string, move: string): string {
  const verbs = next.split(/,? or /).map((verb) => `replatform ${verb.trim()} ${move}`)
  return verbs.join(', or ')
}

function headline(move: MoveStatus, { colors, columns }: Style): string {
  const state = move.paused ? `paused while ${move.state}` : move.state
  const color = move.paused ? colors.yellow : colorOf(move.state, colors)
  const step = `${move.step ? ` · ${move.step}` : ''}${move.heldBy ? ` · held: ${move.heldBy}` : ''}`
  const rest = cut(`${move.route}${step}`, Math.max(1, columns - move.name.length - state.length - 4))
  return `${colors.bold(move.name)}  ${color(state)}  ${colors.dim(rest)}`
}

function renderFlow(move: MoveStatus, options: MoveViewOptions): string[] {
  const { load, follow } = move
  const isLoading = load !== null && (move.state === 'loading' || move.state === 'prepared')
  return [
    ...(isLoading ? renderLoad(load, { ...options, mostTables: options.mostTables ?? 12 }) : []),
    ...(isLoading ? [loadRates(load, options)] : []),
    ...(!isLoading && load ? [cut(`  loaded     ${loadSum(load)}`, options.columns)] : []),
    ...(follow && move.direction ? followLines(follow, move, options) : []),
    ...moverLine(move, options),
  ]
}

function loadRates(load: LoadStatus, { columns }: Style): string {
  const eta =
    load.etaSeconds === null || load.groups.every(isLoaded) ? '' : ` · ETA ${formatDuration(load.etaSeconds * 1_000)}`
  return cut(
    `  rate       ${formatCount(load.rowsPerSecond)} rows/s · ${formatBytes(load.bytesPerSecond)}/s${eta}`,
    columns,
  )
}

function loadSum(load: LoadStatus): string {
  const rows = load.groups.reduce((sum, group) => sum + group.loaded.rows, 0)
  const bytes = load.groups.reduce((sum, group) => sum + group.loaded.bytes, 0)
  return `${formatCount(rows)} rows · ${formatBytes(bytes)} · ${load.groups.length} tables`
}

function followLines(follow: FollowStatus, move: MoveStatus, { colors, columns }: Style): string[] {
  const isLevel = follow.lagBytes === 0
  const color = isLevel || follow.lagMs < 1_000 ? colors.green : follow.lagMs < 60_000 ? colors.yellow : colors.red
  const eta = follow.etaSeconds === null ? '' : ` · level in ${formatDuration(follow.etaSeconds * 1_000)}`
  const lag = `${formatDuration(follow.lagMs)} · ${formatBytes(follow.lagBytes)}${eta}`
  const way = move.direction === 'reverse' ? 'back' : 'applied'
  const applied = `${counted(follow.transactions, 'transaction')} · ${counted(follow.rows, 'row')}`
  const rates = `${formatCount(follow.rowsPerSecond)} rows/s · ${formatBytes(follow.bytesPerSecond)}/s`
  return [`  lag        ${color(cut(lag, columns - 13))}`, cut(`  ${way.padEnd(10)} ${applied} · ${rates}`, columns)]
}

function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

function moverLine({ mover }: MoveStatus, { colors, columns }: Style): string[] {
  if (!mover) return []
  const restarts = mover.restarts === 0 ? '' : ` · ${counted(mover.restarts, 'restart')}`
  return [
    colors.dim(cut(`  mover      ${formatBytes(mover.rssBytes)} of memory · process ${mover.pid}${restarts}`, columns)),
  ]
}

function renderCutover(cutover: CutoverStatus, { colors, columns }: Style): string[] {
  const to = cutover.direction === 'forward' ? 'new' : 'old'
  const pause = `write pause ${formatDuration(pauseSoFarMs(cutover))} of at most ${formatDuration(cutover.budgetMs)}`
  return [`  to the ${to} side, ${pause}`, ...renderSteps(cutover.steps, { colors, columns })]
}

/** From the first hold to the release, as far as it has come. */
function pauseSoFarMs({ pauseMs, steps }: CutoverStatus): number {
  if (pauseMs !== null) return pauseMs
  const names = steps.map(({ name }) => name)
  const inside = steps.slice(names.indexOf('hold'), names.indexOf('release') + 1)
  return inside.reduce((sum, { ms }) => sum + (ms ?? 0), 0)
}

function renderHistory(move: MoveStatus, { colors, columns }: Style): string[] {
  const { lastCompare, lastCutover } = move
  const lines: string[] = []
  if (lastCompare) {
    const differing = lastCompare.results.filter((result) => result.matching !== result.processed || result.extra > 0)
    const verdict = lastCompare.equal ? 'equal' : `${differing.length} tables differ`
    const rows = lastCompare.results.reduce((sum, { processed }) => sum + processed, 0)
    const text = `${verdict} · ${formatCount(rows)} rows in ${formatDuration(lastCompare.seconds * 1_000)}`
    const color = lastCompare.equal ? colors.green : colors.red
    lines.push(`  compared   ${color(cut(text, columns - 13))}`)
  }
  if (lastCutover && lastCutover !== cutoverInWork(move)) {
    const verb = lastCutover.direction === 'forward' ? 'cutover' : 'rollback'
    lines.push(cut(`  ${verb.padEnd(10)} ${summarizeCutover(lastCutover)}`, columns))
  }
  return lines
}

function renderPause(paused: NonNullable<MoveStatus['paused']>, { colors, columns }: Style): string[] {
  const { error, reason } = paused
  const what = error ? `${error.code}: ${error.message}` : reason
  const lines = wrap(what, columns - 13).map((text, index) => `  ${index === 0 ? 'paused' : '      '}     ${text}`)
  const remedy = error ? wrap(error.next, columns - 13).map((text) => `             ${text}`) : []
  return [...lines.map((text) => colors.yellow(text)), ...remedy]
}

/** The cutover that the move is in, as long as it is. */
function cutoverInWork({ state, lastCutover }: MoveStatus): CutoverStatus | null {
  return state === 'cutting-over' || state === 'rolling-back' ? lastCutover : null
}

function colorOf(state: MoveState, colors: Style['colors']) {
  switch (state) {
    case 'in-sync':
    case 'reversing':
    case 'finalized':
      return colors.green
    case 'cutting-over':
    case 'rolling-back':
      return colors.magenta
    case 'cancelled':
      return colors.dim
    default:
      return colors.cyan
  }
}
