import type { Strain } from '@replatform/core/connector'
import { expect, test } from 'vitest'
import { type Limits, noLimits, watchStrain } from './strain-watch.ts'
import { Throttle } from './throttle.ts'

/** One look a step of the clock. Returns what was told, each time that it changed. */
async function watch(limits: Limits, strains: readonly (Strain | null | 'no answer')[], stage: 'load' | 'follow') {
  const told: (string | null)[] = []
  const ended = new AbortController()
  const left = [...strains]
  await watchStrain({
    mover: {
      strain: async () => {
        const strain = left.shift() ?? null
        if (left.length === 0) ended.abort()
        if (strain === 'no answer') throw new Error('gone')
        return strain
      },
    },
    limits: () => limits,
    throttle: new Throttle(),
    stage,
    onHeld: (by) => told.push(by),
    clock: { now: () => 0, sleep: async () => {} } as never,
    signal: ended.signal,
  })
  return told
}

const sessions = (sourceSessions: number): Strain => ({ sourceSessions, replicaLagMs: null })
const lag = (replicaLagMs: number): Strain => ({ sourceSessions: null, replicaLagMs })
const end = sessions(0)

test('is held past the limit, and goes on only well below it', async () => {
  const told = await watch(
    { ...noLimits, sourceSessions: 10 },
    [sessions(10), sessions(11), sessions(9), sessions(8), end],
    'load',
  )
  expect(told).toEqual([
    '11 sessions are at work on the source; 10 are allowed',
    '9 sessions are at work on the source; 10 are allowed',
    null,
  ])
})

test('work on the source holds a load alone, lag of a replica both', async () => {
  expect(await watch({ ...noLimits, sourceSessions: 1 }, [sessions(9), end], 'follow')).toEqual([])
  const told = await watch({ ...noLimits, replicaLagMs: 5_000 }, [lag(9_000), lag(100), end], 'follow')
  expect(told).toEqual(['a replica of the target is 9 s behind; 5 s are allowed', null])
})

test('what is not known changes nothing, and the end lets go', async () => {
  const told = await watch({ ...noLimits, replicaLagMs: 5_000 }, [lag(9_000), 'no answer', end], 'load')
  expect(told).toEqual(['a replica of the target is 9 s behind; 5 s are allowed', null])
})
