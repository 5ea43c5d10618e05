import type { PastOperation, WaveStatus } from '@replatform/control/api-types'
import { expect, test } from 'vitest'
import { writeRunbook } from './runbook.ts'
import { toHtml, toMarkdown } from './runbook-formats.ts'
import * as wallet from './test-fixtures/wallet-status.ts'

const wave: WaveStatus = {
  name: 'relational',
  phase: 'rehost',
  moves: ['ledger'],
  pauseBudgetMs: 2_000,
  approver: 'linh',
  window: { from: '2026-08-01T01:00+07:00', to: '2026-08-01T03:00+07:00' },
  gates: [{ name: 'lag', state: 'closed', detail: 'ledger <b>4000</b> ms | wanted: under 1s' }],
  prediction: { ms: 420, parts: [{ step: 'fence', ms: 310, by: 'rehearsal' }] },
  lastRehearsal: null,
  lastCutover: wallet.cutover({ doneSteps: 5, outcome: 'undecided', pauseMs: null }),
  next: 'cutover',
}

const history: PastOperation[] = [
  {
    id: 'o-1',
    verb: 'compare',
    move: 'ledger',
    wave: null,
    state: 'done',
    actor: 'an@ops-1',
    reason: null,
    startedAt: '2026-07-31T20:00:00.000Z',
    finishedAt: '2026-07-31T20:00:12.000Z',
    error: null,
  },
]

const book = writeRunbook({ wave, moves: [wallet.planned], history, writtenAt: '2026-07-31T21:00:00.000Z' })

test('says who, when, which command and what to expect; what was done has its real time, what was not has none', () => {
  const tasks = Object.fromEntries(book.tasks.map((task) => [task.command, task]))
  expect(tasks['replatform compare ledger']?.actual).toBe('2026-07-31 20:00:00 by an@ops-1: done in 12 s')
  expect(tasks['replatform approve relational']).toMatchObject({ who: 'linh', actual: '' })
  expect(tasks['replatform cutover --wave relational']).toMatchObject({
    when: 'from 2026-08-01T01:00+07:00 on',
    expect: 'writes wait about 420 ms, at most 2.0 s; then the new sides are open',
    actual: '',
  })
  expect(book.steps.find(({ name }) => name === 'fence')).toMatchObject({ expected: '310 ms (rehearsal)' })
  expect(book.steps.find(({ name }) => name === 'hold')?.actual).toMatch(/ms$/)
  expect(book.backWays.join()).toContain('replatform rollback --wave relational')
})

test('as Markdown every row has the cells of its head, whatever stands in them', () => {
  const rows = toMarkdown(book)
    .split('\n')
    .filter((line) => line.startsWith('|'))
  expect(rows.length).toBeGreaterThan(20)
  expect(rows.find((row) => row.includes('Gate lag'))?.split(/(?<!\\)\|/)).toHaveLength(4)
})

test('as HTML it is one file, and nothing in it is markup of somebody else', () => {
  const html = toHtml(book)
  expect(html).toContain('&lt;b&gt;4000&lt;/b&gt;')
  expect(html).toContain('<code>replatform cutover --wave relational</code>')
  expect(html).not.toMatch(/src=|href=|<script/)
})
