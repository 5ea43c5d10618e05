/** `npm run simulate`: see docs/15-simulation.md. Exits with 1 when an invariant was broken. */
import { parseArgs } from 'node:util'
import { loadMutant } from './mutate.ts'

const usage = `Simulates cutovers under faults and checks the invariants after every step.

  --seeds N      how many simulations (2000); there is no upper bound
  --from N       the first seed (1)
  --seed N       one simulation, with its whole story
  --mutant NAME  with a deliberate mistake in the code: it must be found
  --mutants      every mutant in turn, as a table of how soon each was found
  --json         the report as JSON

Faults, invariants and how to read a story: docs/15-simulation.md
`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    mutant: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(usage)
else if (values.mutants) await (await import('./mutant-table.ts')).printMutantTable(number('seeds', values.seeds))
else process.exitCode = await run()

async function run(): Promise<number> {
  if (values.mutant !== undefined) loadMutant(values.mutant)
  if (values.seed !== undefined) return tellStory(number('seed', values.seed))
  const { simulate } = await import('./simulate.ts')
  const isShown = process.stderr.isTTY && !values.json
  const campaign = await simulate(
    { from: number('from', values.from), seeds: number('seeds', values.seeds) },
    (done) => void (isShown && process.stderr.write(`\r${done} simulations`)),
  )
  if (isShown) process.stderr.write('\r\x1b[K')
  const { describeCampaign } = await import('./campaign-view.ts')
  process.stdout.write(values.json ? `${JSON.stringify(campaign)}\n` : describeCampaign(campaign, values.mutant))
  return campaign.failure ? 1 : 0
}

async function tellStory(seed: number): Promise<number> {
  const { simulateWave } = await import('./scenario.ts')
  const { story, ...result } = await simulateWave(seed, { isTold: true })
  if (values.json)
    process.stdout.write(`${JSON.stringify({ ...result, faults: Object.fromEntries(result.faults), story })}\n`)
  else process.stdout.write(`${story.join('\n')}\n\n${ending(seed, result.violation)}\n`)
  return result.violation ? 1 : 0
}

function ending(seed: number, violation: { invariant: string; message: string } | null): string {
  return violation ? `Seed ${seed} breaks "${violation.invariant}": ${violation.message}.` : `Seed ${seed} ends well.`
}

function number(name: string, text: string): number {
  const parsed = Number(text)
  if (Number.isSafeInteger(parsed) && parsed >= 1) return parsed
  process.stderr.write(`--${name} takes a whole number from 1 on, not "${text}".\n`)
  process.exit(2)
}
