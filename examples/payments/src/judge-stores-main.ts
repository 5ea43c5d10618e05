/**
 * Judges the stores beside the ledger: one line of JSON for each store whose address is in the environment.
 *
 *     JUDGE_REDIS_URL=… node judge-stores-main.ts --sessions-journal sessions.journal [--tolerance-ms 1000]
 *
 * Exit code 0: all clean; 1: something was found; 2: it could not be judged.
 */
import { parseArgs } from 'node:util'
import { printLine, runMain, wholeNumber } from './environment.ts'
import { judgeSessions } from './sessions/judge-sessions.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'sessions-journal': { type: 'string', multiple: true, default: [] },
      'tolerance-ms': { type: 'string', default: '1000' },
    },
  })
  const { JUDGE_REDIS_URL: redisUrl } = process.env
  const verdicts = []
  if (redisUrl) {
    const toleranceMs = wholeNumber(values['tolerance-ms'], '--tolerance-ms')
    verdicts.push(await judgeSessions({ journals: values['sessions-journal'], url: redisUrl, toleranceMs }))
  }
  if (verdicts.length === 0) throw new Error('set JUDGE_REDIS_URL in the environment')
  for (const verdict of verdicts) printLine(verdict)
  return verdicts.every(({ verdict }) => verdict === 'clean') ? 0 : 1
})
