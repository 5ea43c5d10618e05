/** What is played, in its order: phases of the estate, and the stops of each. */
import type { PlayOptions } from './play-options.ts'

export type Phase = 'rehost' | 'replatform'

export interface Stop {
  readonly name: string
  /** What is told when it begins. */
  readonly title: string
}

export interface Act {
  readonly phase: Phase | 'proof'
  readonly stops: readonly Stop[]
}

/** The wave that each phase cuts over, and its moves. */
export const waves = {
  rehost: { name: 'payments', moves: ['ledger', 'sessions'] },
  replatform: { name: 'messages', moves: ['events'] },
} as const

const rehost: Act = {
  phase: 'rehost',
  stops: [
    { name: 'load', title: 'Rehost: ledger and sessions are assessed, loaded and followed, while payments go on' },
    { name: 'compare', title: 'Compare, row by row and key by key, both sides at one position' },
    { name: 'rehearse', title: 'Rehearse: all of the cutover that payments do not feel' },
    { name: 'cutover', title: 'Cutover: ledger and sessions take writes on their new sides, by one decision' },
    { name: 'rollback', title: 'Rollback: back to the old sides, with every payment and session made since' },
    { name: 'again', title: 'Cutover again' },
  ],
}

const replatform: Act = {
  phase: 'replatform',
  stops: [
    {
      name: 'bridge',
      title: 'Replatform: exchanges become topics of ActiveMQ, and a bridge stands between the brokers',
    },
    { name: 'consumers', title: 'Consumers go first, from AMQP 0-9-1 to AMQP 1.0, while messages flow' },
    { name: 'rehearse', title: 'Rehearse, and compare both brokers with the plan and the ledger of the bridge' },
    { name: 'cutover', title: 'Cutover: the old broker is closed and drained to the last message' },
  ],
}

const proof: Act = {
  phase: 'proof',
  stops: [
    { name: 'finalize', title: 'Finalize: the last comparison, then the ways back are given up; payments still go on' },
    { name: 'verdict', title: 'Payments end, and the judges decide' },
  ],
}

/** Of the first phase, where the play is brief. */
const briefStops = ['load', 'cutover']

export function actsOf({ phases, isBrief }: Pick<PlayOptions, 'phases' | 'isBrief'>): readonly Act[] {
  const first = isBrief ? { ...rehost, stops: rehost.stops.filter(({ name }) => briefStops.includes(name)) } : rehost
  return [...[first, replatform].filter(({ phase }) => phases.includes(phase as Phase)), proof]
}
