/**
 * Goal: whatever fails and whenever it does, the invariants of a cutover hold, and the simulation would notice if they
 * did not. Method: 2,000 seeded simulations of the real code; the same code with deliberate mistakes, each of which
 * must be found. A failure names the seed, which repeats it.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { describeCampaign } from './campaign-view.ts'
import { faultNames } from './faults.ts'
import { hunt } from './mutant-table.ts'
import { mutants } from './mutants.ts'
import { mutate } from './mutate.ts'
import { simulateWave } from './scenario.ts'
import { simulate } from './simulate.ts'

test('every invariant holds after every step of 2,000 simulations', { timeout: 600_000 }, async () => {
  const campaign = await simulate({ from: 1, seeds: 2_000 })
  expect(campaign.failure, describeCampaign(campaign)).toBeNull()
  expect(campaign.outcomes.committed).toBeGreaterThan(500)
  expect(campaign.outcomes.aborted).toBeGreaterThan(500)
  // A name is lost only where the power fails between a change and its flush, which is a millisecond.
  expect(faultNames.filter((name) => !campaign.faults[name] && name !== 'name lost')).toEqual([])
})

test('a seed alone repeats a simulation, step by step', async () => {
  for (const seed of [7, 33, 268]) {
    const [first, again] = [await simulateWave(seed, { isTold: true }), await simulateWave(seed, { isTold: true })]
    expect(first.story.length).toBeGreaterThan(50)
    expect(again.story).toEqual(first.story)
    expect(again.steps).toBe(first.steps)
  }
})

test.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
  '%s is found',
  { timeout: 300_000 },
  async (_, mutant) => {
    const { failure } = await hunt(mutant, 20_000)
    expect(failure?.violation).toBeTruthy()
  },
)

test('a mutant that fits the code no longer is told, rather than found', () => {
  const source = readFileSync(new URL('./mutate.ts', import.meta.url), 'utf8')
  const mutant = { name: 'gone', mistake: '', file: '', find: `not ${'in'} there`, replace: '' }
  expect(() => mutate(mutant, source)).toThrow('fits the code 0 times')
})
