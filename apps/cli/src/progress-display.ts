/** Shows what a worker does while a command waits for it. */
import type { EstateStatus, MoveStatus, Operation } from '@replatform/control/api-types'
import { createLogUpdate } from 'log-update'
import { renderEstate } from './estate-view.ts'
import type { Invocation } from './invocation.ts'
import type { Terminal } from './io.ts'
import { ProgressLines } from './progress-lines.ts'
import { renderSteps } from './steps-view.ts'
import { TableRates } from './table-rates.ts'

export interface ProgressDisplay {
  /** Milliseconds between two calls of `show` that are worth it. */
  readonly intervalMs: number
  show(status: EstateStatus, operation: Operation | null): void
  /** `leave`: what was drawn last stays on the terminal. */
  close(last: 'leave' | 'clear'): void
}

export function openDisplay(invocation: Invocation, terminal: Terminal): ProgressDisplay {
  const { TERM } = invocation.io.env
  return terminal.isTTY && TERM !== 'dumb' ? openLive(invocation, terminal) : openPlain(terminal)
}

function openLive(invocation: Invocation, terminal: Terminal): ProgressDisplay {
  const draw = createLogUpdate(terminal)
  const rates = new Map<string, TableRates>()
  const ratesOf = (move: MoveStatus): TableRates => {
    const known = rates.get(move.name) ?? new TableRates()
    if (move.load) known.observe(move.load, performance.now())
    rates.set(move.name, known)
    return known
  }
  return {
    intervalMs: 200,
    show(status, operation) {
      const style = { ...invocation.styleOf(terminal), ratesOf }
      // One line below is the cursor's; a frame that is higher than the terminal could not be drawn over.
      const rows = Math.max(8, (terminal.rows ?? 24) - 1)
      const steps = operation && showsSteps(status, operation) ? ['', ...renderSteps(operation.steps, style)] : []
      const view = renderEstate(status, { ...style, rows: rows - steps.length })
      draw([...view, ...steps].slice(0, rows).join('\n'))
    },
    close(last) {
      if (last === 'clear') draw.clear()
      draw.done()
    },
  }
}

/** A move that cuts over by itself shows the steps itself. */
function showsSteps(status: EstateStatus, { move, steps }: Operation): boolean {
  const state = status.moves.find(({ name }) => name === move)?.state
  return steps.length > 1 && state !== 'cutting-over' && state !== 'rolling-back'
}

function openPlain(terminal: Terminal): ProgressDisplay {
  const lines = new ProgressLines()
  return {
    intervalMs: 250,
    show(status, operation) {
      for (const line of lines.take(status, operation, performance.now())) {
        terminal.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
      }
    },
    close() {},
  }
}
