/**
 * Proves that no payment was lost or doubled.
 *
 *     JUDGE_DATABASE_URL=… node judge-main.ts --record-baseline baseline.json      before the load
 *     JUDGE_DATABASE_URL=… node judge-main.ts --journal load.journal --baseline baseline.json [--json]
 *
 * JUDGE_OTHER_DATABASE_URL names the other side, where both are expected to be equal. Exit code 0: clean; 1: something
 * was found; 2: it could not be judged.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { printLine, requiredVariable, runMain } from './environment.ts'
import { type Baseline, judge, recordBaseline } from './judge.ts'
import { type Corruption, corruptions, type Verdict } from './verdict.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'journal': { type: 'string', multiple: true, default: [] },
      'baseline': { type: 'string' },
      'record-baseline': { type: 'string' },
      'json': { type: 'boolean', default: false },
    },
  })
  const url = requiredVariable('JUDGE_DATABASE_URL')
  if (values['record-baseline'] !== undefined) {
    const baseline = await recordBaseline(url)
    await writeFile(values['record-baseline'], `${JSON.stringify(baseline)}\n`)
    printLine(baseline)
    return 0
  }
  if (values.journal.length === 0) throw new Error('name at least one --journal')
  const verdict = await judge({
    journals: values.journal,
    url,
    otherUrl: process.env.JUDGE_OTHER_DATABASE_URL,
    baseline: values.baseline === undefined ? undefined : await readBaseline(values.baseline),
  })
  if (values.json) printLine(verdict)
  else process.stdout.write(describe(verdict))
  return verdict.verdict === 'clean' ? 0 : 1
})

async function readBaseline(path: string): Promise<Baseline> {
  return JSON.parse(await readFile(path, 'utf8')) as Baseline
}

function describe(verdict: Verdict): string {
  const { payments, success, refused, unknown, unknownPresent, balanceSum } = verdict
  const lines = [
    `verdict: ${verdict.verdict}`,
    `${payments} payments: ${success} acknowledged, ${refused} refused, ${unknown} unknown (${unknownPresent} of them booked)`,
    `sum of all balances: ${balanceSum.actual}, expected ${balanceSum.expected}`,
  ]
  for (const [name, meaning] of Object.entries(corruptions) as [Corruption, string][]) {
    if (verdict[name] > 0) lines.push(`${name} ${verdict[name]}: ${meaning}: ${verdict.samples[name]?.join(', ')}`)
  }
  return `${lines.join('\n')}\n`
}
