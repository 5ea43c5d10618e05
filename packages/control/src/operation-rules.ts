import { ReplatformError } from '@replatform/core/errors'
import type { MoveState } from '@replatform/core/move'
import type { OperationVerb } from './api-types.ts'
import type { MoveRecord } from './move-records.ts'

interface Rule {
  readonly states: readonly MoveState[]
  /** `running`: something must be following. `paused`: only then is there something to do. */
  readonly needs?: 'running' | 'paused'
  /** Whether it waits for no other operation of the move. */
  readonly shared?: true
}

const following: readonly MoveState[] = ['catching-up', 'in-sync', 'reversing', 'rolled-back']
const beforeCutover: readonly MoveState[] = ['planned', 'prepared', 'loading', 'catching-up', 'in-sync', 'rolled-back']
const unended: readonly MoveState[] = [...beforeCutover, 'cutting-over', 'reversing', 'rolling-back']

const rules: Record<OperationVerb, Rule> = {
  assess: { states: [...unended, 'finalized', 'cancelled'] },
  start: { states: ['planned', 'cancelled'] },
  compare: { states: following, needs: 'running' },
  cutover: { states: ['in-sync', 'rolled-back'], needs: 'running' },
  rollback: { states: ['reversing'], needs: 'running' },
  finalize: { states: ['reversing'] },
  pause: { states: [...beforeCutover, 'reversing'], needs: 'running', shared: true },
  rehearse: { states: ['in-sync', 'rolled-back'], needs: 'running' },
  resume: { states: unended, needs: 'paused' },
  cancel: { states: beforeCutover },
  throttle: { states: unended, shared: true },
}

export function isExclusive(verb: OperationVerb): boolean {
  return !rules[verb].shared
}

/** Throws where the verb makes no sense in the state that the move is in. */
export function requireAllowed(verb: OperationVerb, move: MoveRecord): void {
  const rule = rules[verb]
  const started = move.state === 'planned' && (move.shouldRun || move.paused !== null)
  if (!rule.states.includes(move.state)) throw refused(verb, move, `it is ${move.state}`)
  if (verb === 'start' && started) throw refused(verb, move, 'it was started already')
  if (rule.needs === 'paused' && !move.paused) throw refused(verb, move, 'it is not paused')
  if (rule.needs === 'running' && !move.shouldRun) {
    throw refused(verb, move, move.paused ? `it is paused: ${move.paused.reason}` : 'it was not started yet')
  }
}

/** Whether a repeated operation, after a crash, finds that the first attempt had got to its end. */
export function isFulfilled(verb: OperationVerb, move: MoveRecord): boolean {
  switch (verb) {
    case 'start':
    case 'resume':
      return move.shouldRun
    case 'pause':
      return move.paused !== null
    case 'finalize':
      return move.state === 'finalized'
    case 'cancel':
      return move.state === 'cancelled'
    default:
      return false
  }
}

function refused(verb: OperationVerb, move: MoveRecord, why: string): ReplatformError {
  const ofCutover = verb === 'cutover' || verb === 'rollback' || verb === 'finalize' || verb === 'rehearse'
  const code = ofCutover ? 'cutover.not-ready' : 'state.transition-refused'
  return new ReplatformError(code, { message: `${move.name}: cannot ${verb}, since ${why}.` })
}
