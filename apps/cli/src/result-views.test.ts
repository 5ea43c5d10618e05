import type { CompareReport } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import picocolors from 'picocolors'
import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { renderCompare } from './compare-view.ts'
import { renderError, renderStacks } from './error-view.ts'
import { renderFindings } from './findings-view.ts'
import { renderPlan, renderSteps, summarizeCutover } from './steps-view.ts'
import { cutover } from './test-fixtures/wallet-status.ts'

const style = { colors: picocolors.createColors(false), columns: 80 }

const findings: Finding[] = [
  {
    id: 'postgresql.extension-newer',
    severity: 'note',
    title: 'An extension is newer on the target.',
    evidence: ['pg_trgm 1.5 → 1.6'],
    remedy: 'Nothing.',
  },
  {
    id: 'postgresql.table-without-key',
    severity: 'blocker',
    title: 'Tables have no primary key, so that a changed row cannot be found again on the target.',
    evidence: ['public.log', 'public.audit_of_everything_that_ever_happened_in_this_database_since_the_beginning'],
    remedy: 'ALTER TABLE public.log REPLICA IDENTITY FULL',
  },
]

const report: CompareReport = {
  scope: 'all',
  at: '3/4A000000',
  equal: false,
  seconds: 12.34,
  results: [
    { name: 'public.accounts', processed: 10, matching: 10, mismatched: 0, missing: 0, extra: 0, samples: [] },
    {
      name: 'public.entries',
      processed: 1_234_567,
      matching: 1_234_564,
      mismatched: 1,
      missing: 2,
      extra: 0,
      samples: [{ kind: 'mismatched', key: '(4•••)', columns: ['amount'] }],
    },
  ],
}

describe('findings', () => {
  it('begin with the blockers and end with the count', () => {
    const lines = renderFindings(findings, style)
    expect(lines[0]).toBe('blocker  postgresql.table-without-key')
    expect(lines).toContain('  → ALTER TABLE public.log REPLICA IDENTITY FULL')
    expect(lines.at(-1)).toBe('1 blocker, 0 risks, 1 note.')
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(80)
  })

  it('say so when there are none', () => {
    expect(renderFindings([], style)).toEqual(['Nothing was found that speaks against the move.'])
  })
})

describe('a comparison', () => {
  it('shows the five counts of each table and the keys that differ', () => {
    const lines = renderCompare(report, style)
    expect(lines[0]?.trim().split(/\s+/)).toEqual(['table', 'processed', 'matching', 'mismatched', 'missing', 'extra'])
    expect(lines[2]?.trim().split(/\s+/)).toEqual(['public.entries', '1.2M', '1.2M', '1', '2', '0'])
    expect(lines).toContain('    mismatched (4•••) in amount')
    expect(lines.at(-1)).toBe('1 of 2 tables differ: 1.2M rows at 3/4A000000, in 12 s.')
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(80)
  })
})

describe('steps', () => {
  it('of a dry run are numbered, with their whole sentences', () => {
    const { steps } = cutover({ doneSteps: -1, outcome: 'undecided', pauseMs: null })
    const lines = renderPlan(steps, style)
    expect(lines[0]).toMatch(/^ {3}1\. prepare-return/)
    const text = lines.join(' ').replaceAll(/\s+/g, ' ')
    for (const { description } of steps) expect(text).toContain(description)
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(80)
  })

  it('that failed are marked', () => {
    const [first] = cutover({ doneSteps: 1, outcome: 'aborted', pauseMs: 12 }).steps
    const [line] = renderSteps([{ ...(first as NonNullable<typeof first>), state: 'failed', ms: 1_500 }], style)
    expect(line).toMatch(/^ {2}✗ prepare-return .* 1\.5 s$/)
  })

  it('end in an outcome and a pause', () => {
    const committed = cutover({ doneSteps: 99, outcome: 'committed', pauseMs: 412.4 })
    expect(summarizeCutover(committed)).toBe('committed, write pause 412 ms of at most 2.0 s')
  })
})

describe('an error', () => {
  const error = new ReplatformError('auth.failed', {
    message: 'The source ledger.example:5432/ledger refused the user "mover".',
    cause: Object.assign(new Error('Key (card)=(4111111111111111) already exists'), { code: '23505' }),
  })

  it('says what happened, what is untouched and what to do next', () => {
    expect(renderError(error, style)).toEqual([
      'error auth.failed',
      'The source ledger.example:5432/ledger refused the user "mover".',
      'untouched  Nothing was changed on either side.',
      'next       Correct the secret that the estate file refers to, then run the',
      '           command again.',
    ])
  })

  it('shows where it comes from only when asked, and never what a driver said about a row', () => {
    expect(renderError(error, style).join('\n')).not.toMatch(/ {4}at /)
    const stacks = renderStacks(error)
    expect(stacks).toMatch(/ {4}at .*result-views\.test\.ts/)
    expect(stacks).toContain('caused by Error 23505')
    expect(stacks).not.toContain('4111111111111111')
  })
})
