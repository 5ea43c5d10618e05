import { ReplatformError } from './errors.ts'

/**
 * States of a move. `paused` is not one of them: a paused move keeps its state and carries a reason beside it.
 * In `rolled-back` the old side takes writes again and replication runs forward, so it can cut over anew.
 */
export type MoveState =
  | 'planned'
  | 'prepared'
  | 'loading'
  | 'catching-up'
  | 'in-sync'
  | 'cutting-over'
  | 'reversing'
  | 'rolling-back'
  | 'rolled-back'
  | 'finalized'
  | 'cancelled'

/** Which way data flows. `forward`: estate source → estate target; `reverse`: back again. */
export type Direction = 'forward' | 'reverse'

/** A side of a *flow*: data is read on its source and written on its target, whichever the direction. */
export type Side = 'source' | 'target'

const transitions: Record<MoveState, readonly MoveState[]> = {
  'planned': ['prepared', 'cancelled'],
  'prepared': ['loading', 'cancelled'],
  'loading': ['catching-up', 'cancelled'],
  'catching-up': ['in-sync', 'cancelled'],
  'in-sync': ['catching-up', 'cutting-over', 'cancelled'],
  'cutting-over': ['in-sync', 'rolled-back', 'reversing'],
  'reversing': ['rolling-back', 'finalized'],
  'rolling-back': ['reversing', 'rolled-back'],
  'rolled-back': ['cutting-over', 'cancelled'],
  'finalized': [],
  'cancelled': [],
}

/** Throws `state.transition-refused` where the state machine has no such edge. Staying is always allowed. */
export function assertTransition(from: MoveState, to: MoveState): void {
  if (from === to || transitions[from].includes(to)) return
  throw new ReplatformError('state.transition-refused', {
    message: `A move that is ${from} cannot become ${to}.`,
  })
}

/** Where data flows in a state, or undefined where nothing flows. */
export function directionOf(state: MoveState): Direction | undefined {
  switch (state) {
    case 'reversing':
    case 'rolling-back':
      return 'reverse'
    case 'finalized':
    case 'cancelled':
      return undefined
    default:
      return 'forward'
  }
}

/** The verb that a person would type next. */
export function nextVerb(state: MoveState): string | undefined {
  switch (state) {
    case 'planned':
      return 'start'
    case 'in-sync':
    case 'rolled-back':
      return 'cutover'
    case 'reversing':
      return 'rollback, or finalize'
    default:
      return undefined
  }
}
