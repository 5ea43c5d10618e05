/** The report of a demo: one HTML file with what payments felt, the write pauses marked, and the verdict of each judge. */
import { escaped, type Mark, plot, ribbon, type Series } from './plot.ts'
import type { Pause, Recorder } from './recorder.ts'
import { reportStyle } from './report-style.ts'
import { type DemoVerdict, isClean } from './verdict.ts'

export function renderReport(recorder: Recorder, verdict: DemoVerdict): string {
  const { payments, samples, pauses, stops } = recorder
  const endMs = Math.max(1_000, ...payments.map(({ atMs }) => atMs), ...samples.map(({ atMs }) => atMs))
  const shared = { endMs, marks: pauses.map(markOf) }
  const throughput: Series = { name: 'acknowledged', points: payments.map(({ atMs, perSecond }) => [atMs, perSecond]) }
  const latencies: Series[] = [
    { name: '99th percentile', points: payments.map(({ atMs, p99Ms }) => [atMs, p99Ms]) },
    { name: 'median', points: payments.map(({ atMs, p50Ms }) => [atMs, p50Ms]) },
  ]
  const moves = [...new Set(samples.map(({ move }) => move))]
  const lags = moves.map((name): Series => {
    return { name, points: samples.filter(({ move }) => move === name).map(({ atMs, lagMs }) => [atMs, lagMs]) }
  })
  const stretches = stops.map(({ atMs, phase, name, title }) => ({ label: name, title, fromMs: atMs, kind: phase }))
  const scale = 'magnitudes'
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Replatform: an estate moved under live payments</title>
<style>${reportStyle}</style></head>
<body>
<h1>An estate moved under live payments</h1>
<p class="${isClean(verdict) ? 'clean' : 'dirty'}">${escaped(sentence(verdict))}</p>
${figures(verdict)}
<h2>What payments felt</h2>
<p class="key"><i class="rehost"></i>rehost <i class="replatform"></i>replatform <i class="proof"></i>proof <i class="held"></i>writes were held, by the number of the pause below</p>
${ribbon(stretches, endMs)}
${plot({ title: 'Payments', unit: 'acknowledged a second', series: [throughput], ...shared })}
${plot({ title: 'Latency of payments', unit: 'ms, orders of magnitude', series: latencies, scale, ...shared })}
${plot({ title: 'Lag of each move', unit: 'ms, orders of magnitude', series: lags, scale, ...shared })}
<h2>Write pauses, and what they were made of</h2>
${pausesTable(pauses, verdict)}
<h2>What the judges say</h2>
${judgesTable(verdict)}
<h2>Stops</h2>
<ol>${stops.map(({ atMs, title }) => `<li value="${Math.round(atMs / 1_000)}">${escaped(title)}</li>`).join('')}</ol>
<p class="note">The number before a stop is the second at which it began.</p>
<details><summary>The verdict, as it was given</summary><pre>${escaped(JSON.stringify(verdict, null, 2))}</pre></details>
</body></html>
`
}

function markOf({ name, fromMs, ms }: Pause, index: number): Mark {
  return { label: String(index + 1), title: `${index + 1}. ${name}: ${Math.round(ms)} ms`, fromMs, ms }
}

function sentence({ verdict, payments, lost, doubled, seconds, events }: DemoVerdict): string {
  const found = `${payments.toLocaleString('en-US')} payments in ${Math.round(seconds)} s: ${lost} lost, ${doubled} doubled`
  const stores = events ? 'ledger, sessions and events' : 'ledger and sessions'
  return `${found}; the judges of ${stores} say ${verdict}.`
}

function figures({ load, writePauseMs, cutovers, rowsMoved, bytesMoved }: DemoVerdict): string {
  const tiles = [
    [String(cutovers.length), 'cutovers and rollbacks'],
    [`${Math.round(writePauseMs.max)} ms`, 'longest gap that payments felt'],
    [`${Math.round(writePauseMs.p99)} ms`, 'their 99th percentile around a pause, at most'],
    [load.acknowledged.toLocaleString('en-US'), 'payments acknowledged'],
    [
      `${Math.round(rowsMoved).toLocaleString('en-US')}`,
      `rows, keys and messages, ${(bytesMoved / 1e6).toFixed(0)} MB`,
    ],
  ]
  return `<ul class="figures">${tiles.map(([value = '', about = '']) => `<li><b>${escaped(value)}</b>${escaped(about)}</li>`).join('')}</ul>`
}

/** A column a pause, a row a step. */
function pausesTable(pauses: readonly Pause[], { cutovers }: DemoVerdict): string {
  const steps = [...new Set(pauses.flatMap((pause) => pause.steps.map(({ name }) => name)))]
  const head = `<tr><th></th>${pauses.map(({ name }, index) => `<th>${index + 1}. ${escaped(name)}</th>`).join('')}</tr>`
  const row = (title: string, cells: readonly (number | null | undefined)[], kind = '') =>
    `<tr${kind}><th>${escaped(title)}</th>${cells.map((ms) => `<td>${ms == null ? '' : `${Math.round(ms)} ms`}</td>`).join('')}</tr>`
  const strong = ' class="sum"'
  const predicted = pauses.map(({ name }) => cutovers.find((cutover) => cutover.name === name)?.predictedMs)
  const rows = steps.map((step) => {
    return row(
      step,
      pauses.map((pause) => pause.steps.find(({ name }) => name === step)?.ms),
    )
  })
  const sums = [
    row(
      'write pause',
      pauses.map(({ ms }) => ms),
      strong,
    ),
    row('predicted', predicted),
    row(
      'gap that payments felt',
      pauses.map(({ feltMs }) => feltMs),
      strong,
    ),
  ]
  return `<div class="wide"><table>${head}${sums.join('')}${rows.join('')}</table></div>`
}

function judgesTable({ judge, sessions, events }: DemoVerdict): string {
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
      .join(', ')
  const damage = (of: Readonly<Record<string, number>>) =>
    counts(Object.fromEntries(Object.entries(of).filter(([, count]) => count > 0))) || 'nothing'
  const { payments, lost, doubled, unknown } = judge
  const rows = [
    ['ledger', judge.verdict, `${payments.toLocaleString('en-US')} payments`, damage({ lost, doubled, unknown })],
    ['sessions', sessions.verdict, counts(sessions.judged), damage(sessions.found)],
    ...(events ? [['events', events.verdict, counts(events.judged), damage(events.found)]] : []),
  ]
  const head = '<tr><th>store</th><th>verdict</th><th>judged</th><th>found</th></tr>'
  const body = rows.map((cells) => `<tr>${cells.map((cell) => `<td class="text">${escaped(cell)}</td>`).join('')}</tr>`)
  return `<div class="wide"><table class="judges">${head}${body.join('')}</table></div>`
}
