/**
 * `npm run load`: starts every store and service of the platform, lets customers come, and has each store judged.
 *
 *     npm run load -- --rate 200 --seconds 60 [--accounts 1000] [--history 0] [--seed 1] [--steady] [--json]
 *
 * `--rate` counts arrivals a second over all services; they come in bursts unless `--steady` is said. Prints latencies
 * by operation and a verdict for each store; with `--json` one document. Exit code 0: every verdict is clean; 1: a judge
 * found something, or a repeated request got another answer; 2: it could not run.
 */
import { parseArgs } from 'node:util'
import { printLine, runMain, wholeNumber } from '../environment.ts'
import { describeJudgements, describeLoad, progressText } from './load-report.ts'
import { startPlatform } from './platform.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'rate': { type: 'string', default: '200' },
      'seconds': { type: 'string', default: '60' },
      'accounts': { type: 'string', default: '1000' },
      'history': { type: 'string', default: '0' },
      'seed': { type: 'string', default: '1' },
      'steady': { type: 'boolean', default: false },
      'json': { type: 'boolean', default: false },
    },
  })
  const load = {
    rate: wholeNumber(values.rate, '--rate', 1),
    seconds: wholeNumber(values.seconds, '--seconds', 1),
    seed: wholeNumber(values.seed, '--seed'),
    steady: values.steady,
  }
  say('starting the stores, the services and the gateway')
  await using platform = await startPlatform({
    accounts: wholeNumber(values.accounts, '--accounts', 20),
    history: wholeNumber(values.history, '--history'),
  })
  say(`seed ${load.seed}: ${load.rate} arrivals a second for ${load.seconds} s`)
  const summary = await platform.load(load, (line) => {
    if (line.seconds % 10 === 0 && line.type === 'progress') say(progressText(line))
  })
  await platform.settle()
  say('judging')
  const judgements = await platform.judge()
  if (values.json) printLine({ ...load, summary, judgements })
  else process.stdout.write(`${describeLoad(summary)}\n${describeJudgements(judgements)}`)
  const clean = judgements.every(({ verdict }) => verdict === 'clean') && (summary.differing ?? 0) === 0
  return clean ? 0 : 1
})

function say(text: string): void {
  process.stderr.write(`load: ${text}\n`)
}
