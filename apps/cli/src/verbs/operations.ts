/** The verbs that are one operation of the worker each. */
import type { OperationVerb, WaveVerb } from '@replatform/control/api-types'
import { ReplatformError } from '@replatform/core/errors'
import { runOperation } from '../operation-verb.ts'
import { changingOptions, moveArgument, type Verb, waveOptions } from '../verb.ts'

export const assess = operationVerb('assess', {
  summary: 'look at both sides for what stands in the way',
  description:
    'Looks at both sides and at the switchover point, changes nothing, and lists findings: a blocker stops `start`, a risk must be read, a note explains what will happen.',
  example: 'replatform assess ledger',
  exits: ['ok', 'refused', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure: moveArgument,
})

export const compare = operationVerb('compare', {
  summary: 'compare every row of both sides',
  description:
    'Compares every row of both sides as of one position of the source, while writes go on, and reports what is mismatched, missing or extra by key. Values are never shown.',
  example: 'replatform compare ledger --json | jq .result.report.equal',
  exits: ['ok', 'differences', 'refused', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure: changingOptions,
})

export const cutover = waveVerb('cutover', {
  summary: 'switch writes to the new side',
  description:
    'Holds writes, fences the old side, waits until everything is on the new side, compares what changed, and decides. Past the pause budget, or on any fault before the decision, all goes on as it was. Afterwards the old side is kept current for a rollback. With --wave all moves of the wave switch at one point, or none does.',
  example:
    'replatform cutover ledger --dry-run\nreplatform cutover ledger --reason "change 4711"\nreplatform cutover --wave relational',
  exits: ['ok', 'aborted', 'differences', 'refused', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure(command) {
    waveOptions(command)
    command.option('--override', 'go past gates that do not hold; needs --reason, and is audited')
  },
})

export const rollback = waveVerb('rollback', {
  summary: 'switch writes back to the old side',
  description:
    'The same procedure as a cutover, the other way: every write made on the new side since the cutover is kept. Possible until `finalize`.',
  example: 'replatform rollback ledger --reason "latency of the new side"\nreplatform rollback --wave relational',
  exits: ['ok', 'aborted', 'differences', 'refused', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure: waveOptions,
})

export const finalize = waveVerb('finalize', {
  summary: 'end the move: no rollback after this',
  description:
    'Stops replication back to the old side and removes what the move left on both sides. The old side stays fenced.',
  example: 'replatform finalize ledger\nreplatform finalize --wave relational',
  exits: ['ok', 'refused', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure: waveOptions,
})

export const pause = operationVerb('pause', {
  summary: 'stop a move at a durable point',
  description:
    'Stops copying and following at a durable point. The change stream is kept, so the source keeps its log until `resume`: watch its disk.',
  example: 'replatform pause ledger --reason "backup window"',
  exits: ['ok', 'refused', 'usage', 'failed', 'interrupted'],
  configure: changingOptions,
})

export const resume = operationVerb('resume', {
  summary: 'go on with a paused move',
  description: 'Goes on where the move was paused, by a person or by an error that has been dealt with.',
  example: 'replatform resume ledger',
  exits: ['ok', 'refused', 'usage', 'failed', 'interrupted'],
  configure: changingOptions,
})

export const cancel = operationVerb('cancel', {
  summary: 'give up a move before its cutover',
  description:
    'Gives up the change stream and everything the move keeps on the source. What was copied stays on the target, fenced: empty it yourself before a new start.',
  example: 'replatform cancel ledger --dry-run',
  exits: ['ok', 'refused', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure: changingOptions,
})

function operationVerb(name: OperationVerb, about: Omit<Verb, 'name' | 'run'>): Verb {
  return {
    ...about,
    name,
    run: (invocation, options, move) =>
      runOperation(invocation, { verb: name, move: invocation.moveNamed(move), options }),
  }
}

function waveVerb(name: WaveVerb, about: Omit<Verb, 'name' | 'run'>): Verb {
  return {
    ...about,
    name,
    run(invocation, options, move) {
      if (options.wave === undefined) {
        return runOperation(invocation, { verb: name, move: invocation.moveNamed(move), options })
      }
      if (move === undefined)
        return runOperation(invocation, { verb: name, wave: invocation.waveNamed(options.wave), options })
      throw new ReplatformError('usage', { message: 'Name a move or a wave, not both.' })
    },
  }
}
