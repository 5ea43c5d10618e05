import type { Examination } from '../examination.ts'
import { exitOf } from '../exit-codes.ts'
import type { Style } from '../style.ts'
import { cell, wrap } from '../text-cells.ts'
import type { Verb } from '../verb.ts'

export const doctor: Verb = {
  name: 'doctor',
  summary: 'check this machine and every connection',
  description:
    'Checks Node, the programs that moves call, the state directory, the control database, every secret reference and every side of the estate. Changes nothing.',
  example: 'replatform doctor --estate estate.yaml',
  exits: ['ok', 'usage', 'refused', 'unreachable', 'failed'],
  async run(invocation) {
    const { examine } = await import('../examination.ts')
    const examinations = await examine(invocation)
    const failed = examinations.find(({ error }) => error !== null)
    const isHealthy = failed === undefined
    invocation.result({ ok: isHealthy, checks: examinations }, (style) => render(examinations, style))
    return failed?.error ? exitOf(failed.error.code) : 'ok'
  },
}

function render(examinations: readonly Examination[], { colors, columns }: Style): string[] {
  const nameWidth = Math.min(30, Math.max(...examinations.map(({ name }) => name.length)))
  const indent = nameWidth + 4
  const lines = examinations.flatMap(({ name, state, detail, error }) => {
    const color = { ok: colors.green, risk: colors.yellow, failed: colors.red }[state]
    const mark = { ok: '✓', risk: '!', failed: '✗' }[state]
    const text = wrap(error ? `${detail} → ${error.next}` : detail, columns - indent)
    return text.map((part, index) =>
      index === 0 ? `${color(mark)} ${cell(name, nameWidth)}  ${part}` : `${' '.repeat(indent)}${part}`,
    )
  })
  return [...lines, '', verdictOn(examinations)]
}

function verdictOn(examinations: readonly Examination[]): string {
  const count = (state: Examination['state']) =>
    examinations.filter((examination) => examination.state === state).length
  const failed = count('failed')
  if (failed > 0) return `${failed} of ${examinations.length} checks failed.`
  const risks = count('risk')
  const verdict = risks === 0 ? 'All is well' : `Nothing failed; ${risks} ${risks === 1 ? 'risk' : 'risks'} to look at`
  return `${verdict}. Next: replatform assess`
}
