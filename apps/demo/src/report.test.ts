import { expect, test, vi } from 'vitest'
import { Recorder } from './recorder.ts'
import { renderReport } from './report.ts'
import type { DemoVerdict } from './verdict.ts'

const verdict = {
  verdict: 'clean',
  payments: 1_234,
  lost: 0,
  doubled: 0,
  seconds: 60,
  writePauseMs: { p99: 10, max: 512 },
  cutovers: [{ name: 'cutover', predictedMs: 280 }],
  rowsMoved: 1_000,
  bytesMoved: 1_000_000,
  load: { acknowledged: 1_200 },
  judge: { verdict: 'clean', payments: 1_234, lost: 0, doubled: 0, unknown: 0 },
  sessions: { verdict: 'clean', judged: { items: 5 }, found: { goneEarly: 0 } },
  events: { verdict: 'lost', judged: { events: 7 }, found: { lost: 3 } },
} as unknown as DemoVerdict

function recorded(): Recorder {
  vi.useFakeTimers({ now: 0 })
  const recorder = new Recorder()
  for (let second = 1; second <= 30; second++) {
    vi.setSystemTime(second * 1_000)
    recorder.takePayments({ type: 'progress', acknowledged: second * 200, p50Ms: 3, p99Ms: 9 })
    recorder.takeMoves([
      { name: 'ledger', state: 'in-sync', follow: { lagMs: 40, rowsPerSecond: 800 } },
      { name: 'idle', state: 'planned', follow: null, load: null },
    ] as never)
  }
  const hold = { name: 'hold', description: '', state: 'done', startedAt: new Date(12_000).toISOString(), ms: 5 }
  recorder.takeCutover('cutover', { steps: [hold], pauseMs: 300 } as never)
  recorder.takeFelt('cutover', 412)
  recorder.stop({ phase: 'proof', name: 'verdict', title: '<the end>' })
  vi.useRealTimers()
  return recorder
}

test('a recorder turns sums into rates, and knows when writes were held', () => {
  const recorder = recorded()
  expect(recorder.payments).toHaveLength(29)
  expect(recorder.payments[0]).toEqual({ atMs: 2_000, perSecond: 200, p50Ms: 3, p99Ms: 9 })
  expect(new Set(recorder.samples.map(({ move }) => move))).toEqual(new Set(['ledger']))
  expect(recorder.pauses).toMatchObject([{ name: 'cutover', fromMs: 12_000, ms: 300, feltMs: 412 }])
})

test('the report is one file with its plots, each pause marked in each, and nothing of it is foreign markup', () => {
  const html = renderReport(recorded(), verdict)
  expect(html.match(/<figure>/g)).toHaveLength(3)
  expect(html.match(/class="pause"/g)).toHaveLength(3)
  expect(html).toContain(
    '1,234 payments in 60 s: 0 lost, 0 doubled; the judges of ledger, sessions and events say clean',
  )
  expect(html).toContain('&lt;the end&gt;')
  expect(html).not.toMatch(/NaN|Infinity|undefined|src=|href=|<script/)
})

test('each judge is quoted with what it found, and each pause with what it was predicted to be and what was felt', () => {
  const html = renderReport(recorded(), verdict)
  expect(html).toContain(
    '<td class="text">events</td><td class="text">lost</td><td class="text">7 events</td><td class="text">3 lost</td>',
  )
  expect(html).toContain('<th>predicted</th><td>280 ms</td>')
  expect(html).toContain('<th>gap that payments felt</th><td>412 ms</td>')
})
