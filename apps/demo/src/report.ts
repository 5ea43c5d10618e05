/** The report of a demo: one HTML file with what payments felt, the write pauses marked, and the verdict. */
import { escaped, plot, type Series } from './plot.ts'
import type { Recorder } from './recorder.ts'
import type { DemoVerdict } from './verdict.ts'

export function renderReport(recorder: Recorder, verdict: DemoVerdict): string {
  const { payments, lags, pauses, chapters } = recorder
  const endMs = Math.max(1_000, ...payments.map(({ atMs }) => atMs), ...lags.map(({ atMs }) => atMs))
  const shared = { endMs, marks: pauses }
  const throughput: Series = { name: 'acknowledged', points: payments.map(({ atMs, perSecond }) => [atMs, perSecond]) }
  const latencies: Series[] = [
    { name: '99th percentile', points: payments.map(({ atMs, p99Ms }) => [atMs, p99Ms]) },
    { name: 'median', points: payments.map(({ atMs, p50Ms }) => [atMs, p50Ms]) },
  ]
  const names = [...new Set(lags.map(({ move }) => move))]
  const lagSeries = names.map((name): Series => {
    return { name, points: lags.filter(({ move }) => move === name).map(({ atMs, lagMs }) => [atMs, lagMs]) }
  })
  const plots = [
    plot({ title: 'Payments', unit: 'a second', series: [throughput], ...shared }),
    plot({ title: 'Latency of payments', unit: 'ms, by second', series: latencies, ...shared }),
    plot({ title: 'Lag', unit: 'ms', series: lagSeries, ...shared }),
  ]
  const clean = verdict.verdict === 'clean' && verdict.lost === 0 && verdict.doubled === 0
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Replatform: the demo</title><style>${css}</style></head>
<body><h1>Replatform: the demo</h1>
<p class="${clean ? 'clean' : 'dirty'}">${escaped(sentence(verdict))}</p>
${plots.join('\n')}
<p><small>Marked: writes were held. Each second is one point.</small></p>
<h2>Write pauses</h2>
${pausesTable(recorder)}
<h2>Chapters</h2>
<ol>${chapters.map(({ atMs, title }) => `<li>${Math.round(atMs / 1_000)} s: ${escaped(title)}</li>`).join('')}</ol>
<h2>The verdict, as it was given</h2>
<pre>${escaped(JSON.stringify(verdict, null, 2))}</pre>
</body></html>
`
}

function sentence({ verdict, payments, lost, doubled, seconds, writePauseMs }: DemoVerdict): string {
  const found = `${payments.toLocaleString('en-US')} payments in ${Math.round(seconds)} s: ${lost} lost, ${doubled} doubled`
  return `${found}; the judge says ${verdict}. Longest gap felt: ${Math.round(writePauseMs.max)} ms.`
}

/** A column a pause, a row a step. */
function pausesTable({ pauses }: Recorder): string {
  const steps = [...new Set(pauses.flatMap((pause) => pause.steps.map(({ name }) => name)))]
  const head = `<tr><th></th>${pauses.map(({ name }) => `<th>${escaped(name)}</th>`).join('')}</tr>`
  const sum = `<tr><th>write pause</th>${pauses.map(({ ms }) => `<td><b>${Math.round(ms)} ms</b></td>`).join('')}</tr>`
  const rows = steps.map((step) => {
    const cells = pauses.map((pause) => pause.steps.find(({ name }) => name === step)?.ms)
    return `<tr><th>${escaped(step)}</th>${cells.map((ms) => `<td>${ms == null ? '' : `${ms} ms`}</td>`).join('')}</tr>`
  })
  return `<table>${head}${sum}${rows.join('')}</table>`
}

const css = `body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
svg{width:100%;height:auto;font-size:11px;fill:#666}polyline{fill:none;stroke-width:1.6}
.grid{stroke:#ddd;stroke-width:.5}.pause{fill:#dc2626;opacity:.35}h3{margin:1.2rem 0 .2rem}small{color:#666;font-weight:normal}
table{border-collapse:collapse}th,td{border:1px solid #ddd;padding:.2rem .7rem;text-align:right}th{text-align:left}
.clean,.dirty{padding:.6rem 1rem;border-left:4px solid #059669;background:#ecfdf5}.dirty{border-color:#dc2626;background:#fef2f2}
pre{background:#f6f7f9;padding:1rem;overflow:auto}`
