/** The panel below the lines that are told: where the play is, every move, and what payments feel. */

import type { Colors } from '@replatform/cli/io'
import { formatCount, formatDuration } from '@replatform/cli/quantities'
import { cell, cut } from '@replatform/cli/text-cells'
import type { MoveStatus } from '@replatform/control/api-types'
import { columnChart, magnitude } from './column-chart.ts'
import type { Pause, PaymentSample, Recorder, StopMark } from './recorder.ts'
import type { Act } from './script.ts'

export interface ViewOptions {
  readonly acts: readonly Act[]
  readonly columns: number
  readonly rows: number
  readonly colors: Colors
}

type Seen = Pick<Recorder, 'nowMs' | 'payments' | 'samples' | 'pauses' | 'stops' | 'moves' | 'acknowledged'>

/** No line is wider than the terminal, and all of them leave room for a few told lines above. */
export function renderView(seen: Seen, options: ViewOptions): string[] {
  const { columns, rows, colors } = options
  const width = Math.min(columns, 160)
  const about = ` ${clock(seen.nowMs)} · wallet · ${formatCount(seen.acknowledged)} payments `
  const head = colors.dim(`──${about}${'─'.repeat(Math.max(0, width - about.length - 2))}`)
  const lines = renderLine(seen.stops, { ...options, columns: width })
  const moves = seen.moves.map((move) => renderMove(move, seen, { ...options, columns: width }))
  const fixed = 1 + lines.length + 1 + moves.length + 1 + 2 + 1
  const height = Math.min(3, Math.max(1, rows - fixed - 8))
  const all = [head, ...lines, '', ...moves, '', ...renderPayments(seen, { ...options, columns: width, height })]
  return all.slice(0, Math.max(1, rows - 2))
}

/** The stops as on a map of a railway where they fit, else marks only. */
function renderLine(reached: readonly StopMark[], { acts, columns, colors }: ViewOptions): string[] {
  const stops = acts.flatMap(({ phase, stops: some }) => some.map(({ name }) => ({ phase, name })))
  const last = reached.at(-1)
  const at = stops.findIndex(({ phase, name }) => last?.phase === phase && last.name === name)
  const mark = (index: number) =>
    index < at ? colors.green('●') : index === at ? colors.bold(colors.cyan('◉')) : colors.dim('○')
  const names = stops.reduce((sum, { name }) => sum + name.length, 0)
  const gap = Math.min(6, Math.floor((columns - names) / stops.length))
  if (gap < 2) {
    const marks = acts.map(({ phase, stops: some }) => {
      return `${phase} ${some.map((stop) => mark(stops.findIndex((one) => one.phase === phase && one.name === stop.name))).join('')}`
    })
    return [`${marks.join('  ')}  ${colors.cyan(last?.name ?? '')}`]
  }
  const rail = (index: number, length: number) =>
    index < at ? colors.green('━'.repeat(length)) : colors.dim('─'.repeat(length))
  const rails = stops.map(({ name }, index) => {
    return mark(index) + (index === stops.length - 1 ? '' : rail(index, name.length + gap - 1))
  })
  const labels = stops.map(({ name }, index) => {
    return tinted(cell(name, name.length + (index === stops.length - 1 ? 0 : gap)), index - at, colors)
  })
  const phases = acts.map(({ phase, stops: some }) => {
    const text = cell(
      phase,
      Math.max(
        phase.length,
        some.reduce((sum, { name }) => sum + name.length + gap, -gap),
      ),
    )
    return phase === last?.phase ? colors.bold(text) : colors.dim(text)
  })
  return [phases.join(' '.repeat(gap)), rails.join(''), labels.join('')]
}

function tinted(text: string, distance: number, colors: Colors): string {
  if (distance === 0) return colors.bold(colors.cyan(text))
  return distance < 0 ? text : colors.dim(text)
}

function renderMove(move: MoveStatus, { samples }: Seen, { columns, colors }: ViewOptions): string {
  const own = samples.filter((sample) => sample.move === move.name).slice(-60)
  const { follow } = move
  const lag = follow ? `lag ${formatDuration(follow.lagMs)}` : progressOf(move)
  const rate = own.at(-1)?.rowsPerSecond ?? 0
  const name = colors.bold(cell(move.name, 9))
  const state = colorOf(move)(cell(stateOf(move), 12), colors)
  const speed = columns >= 72 ? cell(rate > 0 ? `${formatCount(rate)}/s` : '', 10, 'right') : ''
  const figures = `${cell(lag, 13, 'right')}${speed}  `
  const route = columns >= 110 ? colors.dim(cell(move.route, 24)) : ''
  const used = 9 + 12 + (columns >= 110 ? 24 : 0) + 13 + speed.length + 2 + 13 + 2
  const width = Math.max(0, Math.min(40, columns - used))
  const [chart = ''] = columnChart(
    own.map(({ lagMs }) => magnitude(lagMs)),
    { width, height: 1, most: 4 },
  )
  return `${name}${route}${state}${figures}${sidesOf(move, colors)}  ${colors.cyan(chart)}`
}

function progressOf({ load, state }: MoveStatus): string {
  if (!load || state !== 'loading') return ''
  const rows = load.groups.reduce((sum, { loaded }) => sum + loaded.rows, 0)
  return `${formatCount(rows)} rows`
}

function stateOf({ state, direction, paused }: MoveStatus): string {
  if (paused) return 'paused'
  if (state === 'reversing') return 'moved'
  if (state === 'rolled-back') return 'back again'
  if (state === 'in-sync' && direction === 'forward') return 'follows'
  return state.replace('-', ' ')
}

function colorOf({ state, paused }: MoveStatus): (text: string, colors: Colors) => string {
  if (paused) return (text, colors) => colors.red(text)
  if (state === 'cutting-over' || state === 'rolling-back') return (text, colors) => colors.magenta(text)
  if (state === 'planned') return (text, colors) => colors.dim(text)
  return (text, colors) => colors.green(text)
}

/** Which side takes writes, and which way changes flow. */
function sidesOf({ state, direction }: MoveStatus, colors: Colors): string {
  const [open, shut, held] = [colors.green('●'), colors.dim('○'), colors.magenta('◌')]
  if (state === 'cutting-over' || state === 'rolling-back') return `old ${held} ⏸ ${held} new`
  const isNew = state === 'reversing' || state === 'finalized'
  const arrow = state === 'planned' || state === 'finalized' ? ' ' : direction === 'reverse' ? '◂' : '▸'
  return `old ${isNew ? shut : open} ${arrow} ${isNew ? open : shut} new`
}

function renderPayments(
  { payments, pauses }: Seen,
  { columns, colors, height }: ViewOptions & { readonly height: number },
): string[] {
  const last = payments.at(-1)
  const width = Math.max(10, columns - 26)
  const shown = payments.slice(-width)
  const most = Math.max(1, ...shown.map(({ perSecond }) => perSecond))
  const rates = columnChart(
    shown.map(({ perSecond }) => perSecond),
    { width, height, most },
  )
  const latencies = columnChart(
    shown.map(({ p99Ms }) => magnitude(p99Ms)),
    { width, height: 1, most: 4 },
  )
  const label = (text: string, value: string) => `${cell(text, 11)}${cell(value, 11, 'right')}  `
  const blank = ' '.repeat(24)
  const marks = pauseMarks(shown, pauses, width)
  return [
    ...rates.map((line, index) => {
      const head = index === height - 1 ? label('payments/s', last ? String(Math.round(last.perSecond)) : '') : blank
      return head + colors.green(line)
    }),
    label('latency p99', last ? formatDuration(last.p99Ms) : '') + colors.yellow(latencies[0] ?? ''),
    label('pauses', '') + (pauses.length === 0 ? colors.dim(cut('none yet', width)) : colors.magenta(marks)),
    blank + colors.dim(cut(pauses.map(describePause).join(' · '), width)),
  ]
}

/** A mark below every sample in which writes were held. */
function pauseMarks(shown: readonly PaymentSample[], pauses: readonly Pause[], width: number): string {
  const marks = shown.map(({ atMs }, index) => {
    const fromMs = shown[index - 1]?.atMs ?? atMs - 500
    return pauses.some((pause) => pause.fromMs < atMs && pause.fromMs + pause.ms > fromMs) ? '▲' : ' '
  })
  return ' '.repeat(width - shown.length) + marks.join('')
}

function describePause({ name, ms, feltMs }: Pause): string {
  return `${name} ${formatDuration(ms)}${feltMs === null ? '' : ` (felt ${formatDuration(feltMs)})`}`
}

export function clock(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
}
