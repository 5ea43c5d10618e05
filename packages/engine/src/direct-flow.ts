import type { Mover } from '@replatform/core/connector'
import type { FlowVerbs } from './cutover-participant.ts'

/** The verbs of a mover in this very process, as a coordinator calls them. */
export function directFlow(mover: Mover): FlowVerbs {
  return {
    prepareFlow: () => mover.prepare({ load: false }),
    raiseEpoch: () => mover.raiseEpoch(),
    fence: (side, options) => mover.fence(side, options),
    unfence: (side, options) => mover.unfence(side, options),
    barrier: () => mover.barrier(),
    remaining: (barrier) => mover.remaining(barrier),
    compare: (options) => mover.compare(options),
    settleAhead: (options) => mover.settleAhead(options),
    settle: () => mover.settle(),
    markStart: () => mover.markStart(),
    recordDecision: (decision) => mover.recordDecision(decision),
    cleanUp: (scope) => mover.cleanUp(scope),
  }
}
