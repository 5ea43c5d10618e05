import { megabytes, thousands } from './narrator.ts'
import { type DemoVerdict, isClean } from './verdict.ts'

function describeSessions({ sessions }: DemoVerdict): string {
  const { items = 0, present = 0, past = 0 } = sessions.judged
  return `${sessions.verdict}: ${thousands(items)} asked for, ${thousands(present)} there, ${thousands(past)} past their deadline`
}

/** The verdict as a person reads it, within 80 columns. */
export function showVerdict(verdict: DemoVerdict): string {
  const { payments, load, lost, doubled, unknown, cutovers, rowsMoved, bytesMoved, seconds } = verdict
  const rows: [string, string][] = [
    [
      'payments',
      `${thousands(payments)} asked for, ${thousands(load.acknowledged)} acknowledged, ${thousands(load.refused)} refused`,
    ],
    ['lost', String(lost)],
    ['doubled', String(doubled)],
    ['unknown', String(unknown)],
    ['sessions', describeSessions(verdict)],
    ...cutovers.map(({ name, felt, pauseMs }): [string, string] => [
      name,
      `longest gap ${Math.round(felt.longestGapMs)} ms, p99 ${Math.round(felt.p99LatencyMs)} ms (pause ${Math.round(pauseMs ?? 0)} ms)`,
    ]),
    ['moved', `${thousands(rowsMoved)} rows, ${megabytes(bytesMoved)}`],
    ['took', `${seconds.toFixed(0)} s`],
  ]
  const lines = rows.map(([name, value]) => `  ${name.padEnd(16)}${value}`)
  const title = isClean(verdict)
    ? 'VERDICT: clean. Each payment is there exactly once, on both sides; each session\nand code lives to its own deadline.'
    : `VERDICT: ${verdict.verdict}. See the judge's findings with --json.`
  return `\n${title}\n\n${lines.join('\n')}\n`
}
