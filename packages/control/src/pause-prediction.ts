/** How long the write pause of a wave would be, from what was measured: its rehearsal, its earlier cutovers, its lag. */
import type { PausePrediction, RehearsalReport, StepStatus } from './api-types.ts'

export interface PredictionFacts {
  /** Steps of the last rehearsal; none where there was none. */
  readonly rehearsed: RehearsalReport['steps']
  /** Steps of the last cutover the same way that came to its end. */
  readonly taken: readonly StepStatus[]
  /** The largest lag of its moves now; null where nothing is seen. */
  readonly lagMs: number | null
}

/** What writes wait for, in order. */
const inPause = [
  'hold',
  'fence',
  'barrier',
  'drain',
  'stop-flow',
  'raise-epoch',
  'compare-changed',
  'settle',
  'mark-return',
  'decide',
  'record-decision',
  'unfence',
  'point',
  'release',
]

/** For a step that nobody measured yet: what it took on small stores of our own, and no more than a guess. */
const guessMs: Readonly<Record<string, number>> = {
  'hold': 30,
  'fence': 100,
  'unfence': 50,
  'point': 10,
  'release': 10,
}

/** Null where neither a rehearsal nor a cutover has measured anything. */
export function predictPause({ rehearsed, taken, lagMs }: PredictionFacts): PausePrediction | null {
  const measured = new Map(
    taken.flatMap(({ name, state, ms }) => (state === 'done' && ms !== null ? [[name, ms]] : [])),
  )
  const tried = new Map(rehearsed.flatMap(({ step, ms }) => (ms === null ? [] : [[step, ms]])))
  if (measured.size === 0 && tried.size === 0) return null
  const parts = inPause.flatMap((step) => {
    const part = partOf(step, measured.get(step), tried.get(step))
    return part ? [{ step, ...withLag(step, part, lagMs) }] : []
  })
  return { ms: Math.round(parts.reduce((sum, { ms }) => sum + ms, 0)), parts }
}

function partOf(step: string, measured: number | undefined, tried: number | undefined) {
  if (measured !== undefined) return { ms: measured, by: 'last cutover' }
  if (tried !== undefined) return { ms: tried, by: 'rehearsal' }
  const guess = guessMs[step]
  return guess === undefined ? null : { ms: guess, by: 'guess, not measured' }
}

/** What is late now must still come over, however level the rehearsal was. */
function withLag(step: string, part: { readonly ms: number; readonly by: string }, lagMs: number | null) {
  if (step !== 'drain' || lagMs === null || lagMs <= part.ms) return part
  return { ms: lagMs, by: 'lag now' }
}
