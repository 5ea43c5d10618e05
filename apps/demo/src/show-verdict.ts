import { megabytes, thousands } from './narrator.ts'
import { type DemoVerdict, isClean } from './verdict.ts'

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
    ['ledger', verdict.judge.verdict],
    ['sessions', describeSessions(verdict)],
    ['events', verdict.events ? describeEvents(verdict.events) : 'not played'],
    ...cutovers.map(({ name, felt, pauseMs }): [string, string] => [
      name,
      `longest gap ${Math.round(felt.longestGapMs)} ms, p99 ${Math.round(felt.p99LatencyMs)} ms (pause ${Math.round(pauseMs ?? 0)} ms)`,
    ]),
    ['moved', `${thousands(rowsMoved)} rows, keys and messages, ${megabytes(bytesMoved)}`],
    ['took', `${seconds.toFixed(0)} s`],
  ]
  const lines = rows.map(([name, value]) => `  ${name.padEnd(17)}${value}`)
  return `\n${title(verdict)}\n\n${lines.join('\n')}\n`
}

function title(verdict: DemoVerdict): string {
  if (!isClean(verdict)) return `VERDICT: ${verdict.verdict}. See the judges' findings with --json.`
  const events = verdict.events ? '; each event\nhad its effect once, in order, with every consumer' : ''
  return `VERDICT: clean. Each payment is there exactly once; each session and code lives\nto its own deadline${events}.`
}

function describeSessions({ sessions }: DemoVerdict): string {
  const { items = 0, present = 0, past = 0 } = sessions.judged
  return `${sessions.verdict}: ${thousands(items)} asked for, ${thousands(present)} there, ${thousands(past)} past their deadline`
}

function describeEvents({ verdict, judged }: NonNullable<DemoVerdict['events']>): string {
  const { events = 0, taken = 0 } = judged
  return `${verdict}: ${thousands(events)} sent, ${thousands(taken)} taken by four consumers`
}
