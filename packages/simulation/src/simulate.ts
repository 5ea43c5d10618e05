import type { FaultName } from './faults.ts'
import { type Result, simulateWave } from './scenario.ts'

export interface Campaign {
  readonly seeds: number
  readonly steps: number
  readonly seconds: number
  readonly simulatedSeconds: number
  readonly outcomes: { readonly committed: number; readonly aborted: number }
  readonly faults: Readonly<Partial<Record<FaultName, number>>>
  /** The first simulation that broke an invariant; none are run after it. */
  readonly failure: Pick<Result, 'seed' | 'violation' | 'steps'> | null
}

/** Runs one simulation after the other until one fails. `report` is told now and then how many are done. */
export async function simulate(
  { from, seeds }: { readonly from: number; readonly seeds: number },
  report: (done: number) => void = () => {},
): Promise<Campaign> {
  const startedAt = performance.now()
  const faults: Partial<Record<FaultName, number>> = {}
  const outcomes = { committed: 0, aborted: 0 }
  let [done, steps, simulatedMs] = [0, 0, 0]
  let failure: Campaign['failure'] = null
  for (let seed = from; seed < from + seeds && !failure; seed++) {
    const result = await simulateWave(seed)
    done += 1
    steps += result.steps
    simulatedMs += result.simulatedMs
    for (const [name, count] of result.faults) faults[name] = (faults[name] ?? 0) + count
    for (const outcome of result.outcomes) outcomes[outcome] += 1
    if (result.violation) failure = { seed, violation: result.violation, steps: result.steps }
    if (done % 100 === 0) report(done)
  }
  const seconds = (performance.now() - startedAt) / 1_000
  return { seeds: done, steps, seconds, simulatedSeconds: simulatedMs / 1_000, outcomes, faults, failure }
}
