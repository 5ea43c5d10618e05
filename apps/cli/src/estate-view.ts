import type { EstateStatus, MoveStatus } from '@replatform/control/api-types'
import { renderMove } from './move-view.ts'
import type { Style } from './style.ts'
import type { TableRates } from './table-rates.ts'
import { cut } from './text-cells.ts'
import { renderWave } from './wave-view.ts'

export interface EstateViewOptions extends Style {
  /** Height of what it is drawn on; unlimited where it is not given. */
  readonly rows?: number
  readonly ratesOf?: (move: MoveStatus) => TableRates
}

/** All moves below each other; on a low terminal tables give way, so that no line is drawn outside of it. */
export function renderEstate(status: EstateStatus, options: EstateViewOptions): string[] {
  const { colors, columns, rows, ratesOf } = options
  const { worker, moves } = status
  const about = `worker ${worker.pid} · Replatform ${worker.version} · ${worker.control}`
  const head = `${colors.bold(status.estate)}  ${colors.dim(cut(about, Math.max(1, columns - status.estate.length - 2)))}`
  const mostTables = rows === undefined ? 40 : tablesThatFit(rows - 4 * status.waves.length, moves.length)
  const blocks = moves.map((move) => {
    const rates = ratesOf?.(move)
    return ['', ...renderMove(move, { colors, columns, mostTables, ...(rates ? { rates } : {}) })]
  })
  return [head, ...blocks.flat(), ...status.waves.flatMap((wave) => ['', ...renderWave(wave, options)])]
}

/** A move takes at most nine lines besides its tables. */
function tablesThatFit(rows: number, moves: number): number {
  return Math.max(3, Math.floor((rows - 1) / Math.max(1, moves)) - 9)
}
