import { ReplatformError } from '@replatform/core/errors'
import type { Wave } from '@replatform/core/wave'
import type { OperationVerb, WaveVerb } from './api-types.ts'
import type { MoveRecord } from './move-records.ts'
import { requireAllowed } from './operation-rules.ts'

/** A move of the wave, and whether it takes part in the write pause. */
export interface WaveMember {
  readonly record: MoveRecord
  readonly pause: 'joins' | 'trails'
}

/** Throws `cutover.not-ready` with what is in the way of each move. */
export function requireWaveAllowed(verb: WaveVerb, wave: Wave, members: readonly WaveMember[]): void {
  const those = verb === 'finalize' ? members.filter(({ record }) => record.state !== 'finalized') : joining(members)
  const reasons = those.flatMap(({ record }) => refusalOf(verb, record))
  if (those.length === 0) reasons.push(verb === 'finalize' ? 'all is finalized already' : 'no move joins its pause')
  if (reasons.length === 0) return
  const message = `The wave ${wave.name} cannot ${verb}: ${reasons.join(' ')}`
  throw new ReplatformError('cutover.not-ready', { message })
}

/** Whether a repeated operation, after a crash, finds that the first attempt had got to its end. */
export function isWaveFulfilled(verb: WaveVerb, records: readonly MoveRecord[]): boolean {
  return verb === 'finalize' && records.every(({ state }) => state === 'finalized')
}

/**
 * Throws `cutover.whole-wave` where a move would leave the others of its wave behind. One that trails is switched by
 * itself, once the wave is over.
 */
export function requireAlone(verb: OperationVerb, name: string, wave: Wave, members: readonly WaveMember[]): void {
  if (verb !== 'cutover' && verb !== 'rollback' && verb !== 'finalize') return
  const others = members.filter((member) => member.record.name !== name && member.pause === 'joins')
  if (others.length === 0) return
  const own = members.find((member) => member.record.name === name)
  if (own?.pause === 'joins') {
    const message = `${name} belongs to the wave ${wave.name}, whose moves (${wave.moves.join(', ')}) ${inWords[verb]} together.`
    const next = `Ask for the wave: replatform ${verb} --wave ${wave.name}`
    throw new ReplatformError('cutover.whole-wave', { message, next })
  }
  const behind = others.filter(({ record }) => record.state !== 'reversing' && record.state !== 'finalized')
  if (verb !== 'cutover' || behind.length === 0) return
  const names = behind.map(({ record }) => `${record.name} is ${record.state}`).join(', ')
  const message = `${name} trails the wave ${wave.name}, which has not cut over yet: ${names}.`
  throw new ReplatformError('cutover.not-ready', { message })
}

const inWords = { cutover: 'cut over', rollback: 'roll back', finalize: 'are finalized' } as const

export function joining<Member extends Pick<WaveMember, 'pause'>>(members: readonly Member[]): Member[] {
  return members.filter(({ pause }) => pause === 'joins')
}

function refusalOf(verb: WaveVerb, record: MoveRecord): string[] {
  try {
    requireAllowed(verb, record)
    return []
  } catch (thrown) {
    return [(thrown as Error).message]
  }
}
