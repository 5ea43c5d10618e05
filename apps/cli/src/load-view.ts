/** The full load, a line for each table. */
import type { LoadStatus } from '@replatform/control/api-types'
import type { GroupProgress } from '@replatform/engine/mover-protocol'
import { formatBytes, formatCount, formatDuration, percent } from './quantities.ts'
import type { Style } from './style.ts'
import type { TableRates } from './table-rates.ts'
import { bar, cell } from './text-cells.ts'

export interface LoadViewOptions extends Style {
  readonly rates?: TableRates
  /** More tables than this are summed up in a line. */
  readonly mostTables: number
}

/** All columns but the name and the bar, with the spaces between them. */
const fixedWidth = 2 + 1 + 1 + 4 + 2 + 16 + 1 + 8 + 1 + 8
const columnsForBar = 78

export function renderLoad(load: LoadStatus, options: LoadViewOptions): string[] {
  const { colors, columns, mostTables } = options
  const nameWidth = Math.max(8, Math.min(40, columns - fixedWidth - barWidthOf(columns)))
  const shown = mostInteresting(load.groups, mostTables)
  const lines = shown.map((group) => tableLine(group, nameWidth, options))
  const hidden = load.groups.filter((group) => !shown.includes(group))
  if (hidden.length > 0)
    lines.push(colors.dim(`  … and ${hidden.length} more tables, ${countDone(hidden)} of them done`))
  if (load.groups.length > 1) lines.push(totalLine(load, nameWidth, options))
  return lines
}

/** Loaded in part first, since that is what moves; then by size. Shown in the order that the route gave. */
function mostInteresting(groups: readonly GroupProgress[], most: number): readonly GroupProgress[] {
  if (groups.length <= most) return groups
  const ranked = groups.toSorted((a, b) => Number(isMoving(b)) - Number(isMoving(a)) || b.bytes - a.bytes)
  const best = new Set(ranked.slice(0, most))
  return groups.filter((group) => best.has(group))
}

function tableLine(group: GroupProgress, nameWidth: number, { colors, columns, rates }: LoadViewOptions): string {
  const isDone = isLoaded(group)
  const fraction = fractionOf(group)
  const left = Math.max(0, group.bytes - group.loaded.bytes)
  const rate = rates?.of(group.name) ?? 0
  const eta = isDone ? 'done' : isMoving(group) && rate > 0 ? formatDuration((left / rate) * 1_000) : ''
  const color = isDone ? colors.green : isMoving(group) ? colors.cyan : colors.dim
  return line({
    name: cell(group.name, nameWidth),
    bar: color(bar(fraction, barWidthOf(columns))),
    percent: isDone ? 100 : Math.min(99, percent(fraction, 1)),
    rows: rowsOf(group.loaded.rows, isDone ? group.loaded.rows : Math.max(group.rows, group.loaded.rows)),
    bytes: formatBytes(group.loaded.bytes),
    eta: isDone ? colors.green(cell(eta, 8, 'right')) : cell(eta, 8, 'right'),
  })
}

function totalLine(load: LoadStatus, nameWidth: number, { colors, columns }: LoadViewOptions): string {
  const loaded = sum(load.groups, (group) => group.loaded.bytes)
  const all = sum(load.groups, (group) =>
    isLoaded(group) ? group.loaded.bytes : Math.max(group.bytes, group.loaded.bytes),
  )
  const isDone = load.groups.every(isLoaded)
  const rows = sum(load.groups, (group) => group.loaded.rows)
  const eta = isDone ? 'done' : load.etaSeconds === null ? '' : formatDuration(load.etaSeconds * 1_000)
  const fraction = isDone ? 1 : all > 0 ? loaded / all : 0
  return colors.bold(
    line({
      name: cell(`${load.groups.length} tables`, nameWidth),
      bar: bar(fraction, barWidthOf(columns)),
      percent: isDone ? 100 : Math.min(99, percent(fraction, 1)),
      rows: rowsOf(
        rows,
        sum(load.groups, (group) => (isLoaded(group) ? group.loaded.rows : Math.max(group.rows, group.loaded.rows))),
      ),
      bytes: formatBytes(loaded),
      eta: cell(eta, 8, 'right'),
    }),
  )
}

interface Cells {
  readonly name: string
  readonly bar: string
  readonly percent: number
  readonly rows: string
  readonly bytes: string
  readonly eta: string
}

function line(cells: Cells): string {
  const share = cell(`${cells.percent}%`, 4, 'right')
  return `  ${cells.name} ${cells.bar} ${share}  ${cells.rows} ${cell(cells.bytes, 8, 'right')} ${cells.eta}`
}

/** On a narrow terminal the bar gives way to the name. */
function barWidthOf(columns: number): number {
  return columns < columnsForBar ? 4 : 12
}

/** Estimates of the source can be too low; the whole is never less than what is there. */
function rowsOf(loaded: number, all: number): string {
  return cell(
    loaded >= all ? `${formatCount(loaded)} rows` : `${formatCount(loaded)} / ${formatCount(all)}`,
    16,
    'right',
  )
}

/** By chunks, the only exact figure: rows and bytes of the source are estimates. */
export function isLoaded({ loaded, chunks }: GroupProgress): boolean {
  return loaded.chunks >= chunks
}

function isMoving(group: GroupProgress): boolean {
  return !isLoaded(group) && (group.loaded.bytes > 0 || group.loaded.chunks > 0)
}

function fractionOf(group: GroupProgress): number {
  if (isLoaded(group)) return 1
  return group.bytes > 0 ? Math.min(0.99, group.loaded.bytes / group.bytes) : group.loaded.chunks / group.chunks
}

function countDone(groups: readonly GroupProgress[]): number {
  return groups.filter(isLoaded).length
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
