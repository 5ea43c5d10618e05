/** One cutover or rollback of a wave, and what payments felt of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CutoverStatus, Operation } from '@replatform/control/api-types'
import type { Play } from './play.ts'
import { type Phase, waves } from './script.ts'

export interface Flip {
  readonly phase: Phase
  readonly verb: 'cutover' | 'rollback'
  readonly name: string
}

/** Throws when it was aborted. */
export async function flip(play: Play, { phase, verb, name }: Flip): Promise<void> {
  const { replatform, narrator, recorder, load, flips } = play
  const from = new Date().toISOString()
  const cutover = cutoverOf(await replatform.runWhenReady([verb, '--wave', waves[phase].name]))
  recorder.takeCutover(name, cutover)
  // The first payments after the release belong to what was felt.
  await sleep(1_000)
  const felt = await load.feltWithin(from, new Date().toISOString())
  recorder.takeFelt(name, felt.longestGapMs)
  const steps = cutover.steps.filter((step) => step.ms !== null && step.state === 'done')
  narrator.say(`milliseconds: ${steps.map((step) => `${step.name} ${Math.round(step.ms ?? 0)}`).join(' · ')}`)
  narrator.say(
    `${cutover.outcome}: pause ${Math.round(cutover.pauseMs ?? 0)} ms; payments felt a gap of ${Math.round(felt.longestGapMs)} ms`,
  )
  if (cutover.outcome !== 'committed') throw new Error(`The ${name} was aborted.`)
  const { pauseMs, predictedMs } = cutover
  flips.push({ name, phase, pauseMs, predictedMs, felt })
}

function cutoverOf({ result }: Operation): CutoverStatus {
  if (result?.kind !== 'cutover') throw new Error('The cutover gave no result.')
  return result.cutover
}
