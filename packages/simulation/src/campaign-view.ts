import type { Campaign } from './simulate.ts'

/** What a person reads at the end of a run; a failure comes last, with the command that repeats it. */
export function describeCampaign(campaign: Campaign, mutant?: string): string {
  const { seeds, steps, seconds, simulatedSeconds, outcomes, faults, failure } = campaign
  const rate = Math.round(seeds / seconds)
  const injected = Object.values(faults).reduce((sum, count) => sum + count, 0)
  const lines = [
    `${seeds} schedules in ${seconds.toFixed(1)} s, ${rate} a second; ${steps} steps, ${Math.round(simulatedSeconds)} s of simulated time`,
    `${outcomes.committed} cutovers and rollbacks committed, ${outcomes.aborted} aborted`,
    `${injected} faults injected:`,
    ...Object.entries(faults)
      .sort(([, a], [, b]) => b - a)
      .map(([name, count]) => `  ${String(count).padStart(8)}  ${name}`),
  ]
  if (!failure?.violation) return `${[...lines, 'Every invariant held after every step.'].join('\n')}\n`
  const { seed, violation } = failure
  const broken = `\nSeed ${seed} breaks "${violation.invariant}" after ${failure.steps} steps: ${violation.message}.`
  const withMutant = mutant === undefined ? '' : ` --mutant ${mutant}`
  return `${[...lines, broken, `Its story: npm run simulate -- --seed ${seed}${withMutant}`].join('\n')}\n`
}
