import type { Direction } from '@replatform/core/move'

export type StepName =
  | 'prepare-return'
  | 'compare-live'
  | 'settle-ahead'
  | 'hold'
  | 'fence'
  | 'barrier'
  | 'drain'
  | 'stop-flow'
  | 'raise-epoch'
  | 'compare-changed'
  | 'settle'
  | 'mark-return'
  | 'decide'
  | 'record-decision'
  | 'unfence'
  | 'point'
  | 'release'
  | 'end-flow'
  | 'abort'
  | 'unfence-source'
  | 'let-through'
  | 'end-return'

/**
 * `before`: writes go on. `pause`: inside the budget, can still abort. `decide`: the one step without a way back.
 * `after`: tried until it succeeds. `abort`: only when the cutover fails before its decision.
 */
export type Stage = 'before' | 'pause' | 'decide' | 'after' | 'abort'

export interface CutoverStep {
  readonly name: StepName
  readonly stage: Stage
  /** One sentence in the present tense; a dry run prints it. */
  readonly description: string
}

/** The steps of a cutover that succeeds, in their order. */
export function planCutover(direction: Direction): CutoverStep[] {
  return stepsOf(direction).filter((step) => step.stage !== 'abort')
}

/** All steps, those of an abort included. */
export function stepsOf(direction: Direction): CutoverStep[] {
  const [from, to] = direction === 'forward' ? ['old', 'new'] : ['new', 'old']
  return [
    step('prepare-return', 'before', `Open the change stream of the way back on the ${to} side, ahead of the pause.`),
    step('compare-live', 'before', 'Compare what changed since the last comparison, while writes go on.'),
    step('settle-ahead', 'before', `Set on the ${to} side what need not wait for the pause.`),
    step(
      'hold',
      'pause',
      'Hold new writes, at gateways first, then at each switchover point, until none is in flight.',
    ),
    step('fence', 'pause', `Fence the ${from} side: nobody but the mover can write there.`),
    step('barrier', 'pause', `Mark the end of the ${from} side's history.`),
    step('drain', 'pause', `Apply everything up to the mark on the ${to} side.`),
    step('stop-flow', 'pause', 'Stop following.'),
    step('raise-epoch', 'pause', 'Raise the epoch, so that no earlier follower can write any more.'),
    step('compare-changed', 'pause', 'Compare what changed since the last comparison, with both sides fenced.'),
    step('settle', 'pause', `Carry sequences to the ${to} side.`),
    step('mark-return', 'pause', 'Fix the point from which the way back will follow.'),
    step('decide', 'decide', 'Decide: from here on only forward.'),
    step('record-decision', 'after', `Copy the decision into the ${to} side.`),
    step('unfence', 'after', `Open the ${to} side for writes.`),
    step('point', 'after', `Point every switchover point to the ${to} side.`),
    step('release', 'after', 'Let the held writes through.'),
    step('end-flow', 'after', `Give up the change stream of the ${from} side; replication runs the other way.`),
    step('abort', 'abort', 'Record that the cutover was aborted.'),
    step('unfence-source', 'abort', `Open the ${from} side for writes again.`),
    step('let-through', 'abort', 'Let the held writes through.'),
    step('end-return', 'abort', 'Give up the change stream of the way back.'),
  ]
}

function step(name: StepName, stage: Stage, description: string): CutoverStep {
  return { name, stage, description }
}
