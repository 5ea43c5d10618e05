/**
 * The main job, on real servers of this machine: a wallet's estate moves under live payments, phase by phase, goes back
 * and over again, and judges say whether every payment, session and event is there exactly once. Exit code 0 only when
 * nothing was lost or doubled; 1 when a judge found something, 2 when it could not go on, 130 or 143 after a signal.
 *
 *     npm run demo -- [--json] [--rate 120] [--history 300000] [--seed 1] [--report demo-report.html] [--only rehost]
 */
import { writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import { runDemo } from './demo.ts'
import { bringBrokers } from './events-stage.ts'
import { Narrator } from './narrator.ts'
import type { PlayOptions } from './play-options.ts'
import { Recorder } from './recorder.ts'
import { renderReport } from './report.ts'
import { actsOf } from './script.ts'
import { showVerdict } from './show-verdict.ts'
import { isClean } from './verdict.ts'

const usage = `npm run demo -- [--json] [--rate 120] [--history 300000] [--seed 1] [--report demo-report.html]
                [--only rehost [--brief]] [--between-seconds 6]

  --json             prints the verdict as one document
  --rate             payments a second
  --history          past transfers in the ledger
  --report           where the report goes: one HTML file
  --only rehost      leaves out the phase that turns queues into topics
  --brief            of that, one cutover only: no comparison before it, no rehearsal, no way back
  --between-seconds  how long payments go on between two cutovers
`

const { values } = parseArgs({
  options: {
    'json': { type: 'boolean', default: false },
    'rate': { type: 'string', default: '120' },
    'history': { type: 'string', default: '300000' },
    'seed': { type: 'string', default: '1' },
    'report': { type: 'string', default: 'demo-report.html' },
    'only': { type: 'string' },
    'brief': { type: 'boolean', default: false },
    'between-seconds': { type: 'string', default: '6' },
    'help': { type: 'boolean', default: false },
  },
})

if (values.help) {
  process.stdout.write(usage)
  process.exit(0)
}

const interrupted = Promise.withResolvers<never>()
interrupted.promise.catch(() => {})
let signal: NodeJS.Signals | null = null
let narrator: Narrator | null = null
// Kept to the end: a second signal must not leave servers behind.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (signal) return
    signal = name
    narrator?.close()
    process.stderr.write('\nEnding everything that was started …\n')
    interrupted.reject(new Error(`ended by ${name}`))
  })
}

try {
  const options = await withoutWhatIsMissing(readOptions())
  const recorder = new Recorder()
  narrator = new Narrator({ terminal: process.stderr, env: process.env, recorder, acts: actsOf(options) })
  const verdict = await runDemo({ options, narrator, recorder, interrupted: interrupted.promise })
  narrator.close()
  await writeFile(values.report, renderReport(recorder, verdict))
  narrator.say(`the report, with plots: ${values.report}`)
  process.stdout.write(values.json ? `${JSON.stringify(verdict)}\n` : showVerdict(verdict))
  process.exitCode = isClean(verdict) ? 0 : 1
} catch (thrown) {
  narrator?.close()
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  process.stderr.write(
    signal ? `\nThe demo was ${message}; nothing of it is left.\n` : `\nThe demo could not go on: ${message}\n`,
  )
  process.exitCode = 2
}
// What was cut off in its middle may still wait for something; watchdogs end whatever had only begun to start.
if (signal) process.exit(128 + constants.signals[signal])

function readOptions(): PlayOptions {
  const { only } = values
  if (only !== undefined && only !== 'rehost') throw new Error('--only takes rehost.')
  if (values.brief && only === undefined) throw new Error('--brief goes with --only rehost.')
  return {
    isBrief: values.brief,
    rate: wholeNumber('rate', 1),
    history: wholeNumber('history', 0),
    seed: wholeNumber('seed', 0),
    betweenMs: wholeNumber('between-seconds', 0) * 1_000,
    phases: only ? ['rehost'] : ['rehost', 'replatform'],
  }
}

/** The brokers come from Debian and Maven, which may be out of reach: then the rest is played, and that is said. */
async function withoutWhatIsMissing(options: PlayOptions): Promise<PlayOptions> {
  if (!options.phases.includes('replatform')) return options
  try {
    await bringBrokers()
    return options
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    process.stderr.write(`NOT PLAYED: the phase replatform, since its brokers are missing: ${reason}\n`)
    return { ...options, phases: ['rehost'] }
  }
}

function wholeNumber(name: 'rate' | 'history' | 'seed' | 'between-seconds', least: number): number {
  const value = Number(values[name])
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new Error(`--${name} takes a whole number of at least ${least}.`)
}
