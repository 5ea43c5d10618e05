/**
 * The main job, on real servers of this machine: a wallet under live payments moves from PostgreSQL 13 to 17, back, and
 * over again, and a judge says whether every payment is there exactly once. Exit code 0 only when nothing was lost or
 * doubled.
 *
 *     npm run demo -- [--json] [--rate 200] [--history 300000] [--seed 1] [--report demo-report.html]
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { runDemo } from './demo.ts'
import { Narrator } from './narrator.ts'
import { Recorder } from './recorder.ts'
import { renderReport } from './report.ts'
import { showVerdict } from './show-verdict.ts'
import { isClean } from './verdict.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rate: { type: 'string', default: '200' },
    history: { type: 'string', default: '300000' },
    seed: { type: 'string', default: '1' },
    report: { type: 'string', default: 'demo-report.html' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log('npm run demo -- [--json] [--rate 200] [--history 300000] [--seed 1] [--report demo-report.html]')
  process.exit(0)
}

try {
  const options = { rate: Number(values.rate), history: Number(values.history), seed: Number(values.seed) }
  const recorder = new Recorder()
  const narrator = new Narrator((title) => recorder.chapter(title))
  const verdict = await runDemo(options, narrator, recorder)
  await writeFile(values.report, renderReport(recorder, verdict))
  narrator.say(`the report, with plots: ${values.report}`)
  process.stdout.write(values.json ? `${JSON.stringify(verdict)}\n` : showVerdict(verdict))
  process.exitCode = isClean(verdict) ? 0 : 1
} catch (thrown) {
  process.stderr.write(`\nThe demo could not go on: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
  process.exitCode = 2
}
