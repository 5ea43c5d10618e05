import { toReplatformError } from '@replatform/core/errors'
import type { Clock } from '@replatform/engine/clock'
import { planCutover } from '@replatform/engine/cutover-steps'
import type { OperationVerb, StepStatus } from './api-types.ts'
import type { ControlRecords } from './control-records.ts'
import type { OperationRecord } from './operation-records.ts'
import { isoNow } from './services.ts'

/** The steps that the verb takes, none of them done: what a dry run prints and a real run fills in. */
export function planSteps(verb: OperationVerb): StepStatus[] {
  if (verb === 'cutover') return planCutover('forward').map(({ name, description }) => planned(name, description))
  if (verb === 'rollback') return planCutover('reverse').map(({ name, description }) => planned(name, description))
  return plans[verb]
}

const assess = [
  planned('assess-stores', 'Look at both sides; nothing is changed.'),
  planned('assess-routing', 'Look at the switchover points; nothing is changed.'),
]

const plans: Record<Exclude<OperationVerb, 'cutover' | 'rollback'>, StepStatus[]> = {
  rehearse: [
    planned('prepare-return', 'Open the change stream of the way back on the new sides.'),
    planned('compare-live', 'Compare what changed since the last comparison, while writes go on.'),
    planned('hold', 'Hold the copies of the switchover points.'),
    planned('fence', 'Not exercised: production is not fenced.'),
    planned('drain', 'Follow marks in the live stream to the new sides.'),
    planned('compare-changed', 'Compare once more, as the pause will.'),
    planned('stop-flow', 'Stop following, for a moment.'),
    planned('raise-epoch', 'Raise the epoch on the new sides.'),
    planned('settle', 'Carry sequences to the new sides, which stay fenced.'),
    planned('mark-return', 'Fix a point from which the way back would follow.'),
    planned('decide', 'Record an aborted decision.'),
    planned('record-decision', 'Copy it into the new sides.'),
    planned('unfence', 'Not exercised: the new sides stay fenced.'),
    planned('point', 'Point the copies of the switchover points to the new sides.'),
    planned('release', 'Release the copies, and point them back.'),
  ],
  assess,
  start: [
    ...assess,
    planned('begin', 'Start the mover; the steps that follow are its own and go on in the background.'),
    planned('prepare', 'Open the change stream on the old side, then create the schema on the new side, fenced.'),
    planned('load', 'Copy the data as of one snapshot, in chunks that need not be repeated after a crash.'),
    planned('finish-load', 'Build indexes and constraints on the new side.'),
    planned('follow', 'Apply what the old side writes, until the cutover.'),
  ],
  compare: [planned('compare', 'Compare every row of both sides as of one position, while writes go on.')],
  throttle: [planned('throttle', 'Tell the mover what it is allowed from now on, and each that is started later.')],
  pause: [planned('stop-flow', 'Stop at a durable point; the change stream is kept.')],
  resume: [
    planned('end-cutover', 'End a cutover that was left in the middle, the way its decision says.'),
    planned('begin', 'Start the mover; it goes on from its checkpoint.'),
  ],
  finalize: [
    planned('stop-flow', 'Stop replication back to the old side; from here on there is no rollback.'),
    planned('clean-up-forward', 'Remove what the move left on both sides; the old side stays fenced.'),
    planned('clean-up-reverse', 'Give up the change stream of the way back.'),
    planned('close', 'Mark the move as finalized.'),
  ],
  cancel: [
    planned('stop-flow', 'Stop the mover.'),
    planned('clean-up-reverse', 'Give up the change stream of the way back, where there is one.'),
    planned(
      'clean-up-forward',
      'Give up the change stream on the old side; the new side keeps its partial copy, fenced.',
    ),
    planned('close', 'Mark the move as cancelled.'),
  ],
}

function planned(name: string, description: string): StepStatus {
  return { name, description, state: 'planned', startedAt: null, ms: null }
}

/** Takes the steps of one operation and writes each into the journal. */
export class StepRunner {
  readonly #journal: ControlRecords['journal']
  readonly #clock: Clock
  readonly #operation: OperationRecord
  readonly #move: string

  constructor(journal: ControlRecords['journal'], clock: Clock, operation: OperationRecord, move: string) {
    this.#journal = journal
    this.#clock = clock
    this.#operation = operation
    this.#move = move
  }

  /** `name` must stand in the plan of the operation. */
  async do<T>(name: string, act: () => Promise<T>): Promise<T> {
    const { id, plan } = this.#operation
    const move = this.#move
    const description = plan.find((step) => step.name === name)?.description ?? name
    const entry = await this.#journal.started({ move, operation: id, name, description }, isoNow(this.#clock))
    const startedAt = this.#clock.now()
    try {
      const result = await act()
      await this.#journal.finished(entry, this.#clock.now() - startedAt, null)
      return result
    } catch (thrown) {
      await this.#journal.finished(entry, this.#clock.now() - startedAt, toReplatformError(thrown).code)
      throw thrown
    }
  }
}
