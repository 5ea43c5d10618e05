import type { Direction } from '@replatform/core/move'
import type { FlowVerbs } from './cutover-participant.ts'
import type { MoverVerb, MoverVerbs } from './mover-protocol.ts'

/** Whatever passes a verb on to a mover process: its client, or a supervisor that may start it first. */
export interface VerbCaller {
  call<V extends MoverVerb>(verb: V, params: MoverVerbs[V]['params']): Promise<MoverVerbs[V]['result']>
}

/** The verbs of a mover in another process, as a coordinator calls them. */
export function calledFlow(caller: VerbCaller, direction: Direction): FlowVerbs {
  return {
    prepareFlow: () => caller.call('prepareFlow', { direction }),
    raiseEpoch: () => caller.call('raiseEpoch', { direction }),
    fence: (side, { withinMs, turn }) => caller.call('fence', { direction, side, withinMs, turn }),
    unfence: (side, { turn }) => caller.call('unfence', { direction, side, turn }),
    barrier: () => caller.call('barrier', { direction }),
    remaining: (barrier) => caller.call('remaining', { direction, barrier }),
    compare: ({ scope, at }) => caller.call('compare', { direction, scope, at }),
    settleAhead: ({ pauseMs }) => caller.call('settleAhead', { direction, pauseMs }),
    settle: () => caller.call('settle', { direction }),
    markStart: () => caller.call('markStart', { direction }),
    recordDecision: (decision) => caller.call('recordDecision', { direction, decision }),
    cleanUp: (scope) => caller.call('cleanUp', { direction, scope }),
  }
}
