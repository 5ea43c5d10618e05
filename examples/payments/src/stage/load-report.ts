import type { LoadLine, StoreJudgement } from './platform.ts'

/** Fields of a verdict that are no counts of damage. */
const notDamage = new Set(['store', 'verdict', 'samples'])

/** What came and how it was answered, a line an operation. */
export function describeLoad({ seconds, differing = 0, notSent = 0, services }: LoadLine): string {
  const head = ['operation', 'success', 'refused', 'unknown', 'p50 ms', 'p90 ms', 'p99 ms', 'p99.9 ms', 'max ms']
  const rows = Object.entries(services).flatMap(([service, operations]) =>
    Object.entries(operations).map(([operation, { success, refused, unknown, latencyMs }]) => {
      const { p50, p90, p99, p999, max } = latencyMs
      const latencies = [p50, p90, p99, p999, max].map((ms) => ms.toFixed(1))
      return [`${service}: ${operation}`, ...[success, refused, unknown].map(String), ...latencies]
    }),
  )
  return `${table([head, ...rows])}\nin ${seconds} s; repeated requests that got another answer: ${differing}; due and not sent: ${notSent}\n`
}

export function describeJudgements(judgements: readonly StoreJudgement[]): string {
  return judgements.map((judgement) => `${judgement.store.padEnd(10)} ${findings(judgement)}\n`).join('')
}

export function progressText({ seconds, services }: LoadLine): string {
  const operations = Object.values(services).flatMap((service) => Object.values(service))
  const sum = (of: (operation: (typeof operations)[number]) => number) =>
    operations.reduce((all, one) => all + of(one), 0)
  const payments = services.wallet?.payment?.success ?? 0
  const unknown = sum((one) => one.unknown)
  return `${seconds} s: ${payments} payments, ${sum((one) => one.success + one.refused)} answers, ${unknown} unknown`
}

function findings(judgement: StoreJudgement): string {
  if (judgement.verdict === 'clean') return 'clean'
  const damage = Object.entries(judgement).filter(
    ([name, count]) => !notDamage.has(name) && typeof count === 'number' && count > 0,
  )
  return `${judgement.verdict}: ${damage.map(([name, count]) => `${name} ${count}`).join(', ')}`
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
    )
    .map((cells) => cells.join('  '))
    .join('\n')
}
