import type { CompareReport } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import type { CutoverParticipant } from './cutover-participant.ts'

/** Throws `cutover.differences` where what changed since the last comparison is not equal on both sides. */
export async function requireEqual(participant: CutoverParticipant, at: 'live' | 'fenced'): Promise<CompareReport> {
  const report = await participant.flow.compare({ scope: 'changed', at })
  if (report.equal) return report
  const names = report.results.filter((r) => r.mismatched + r.missing + r.extra > 0).map((r) => r.name)
  throw new ReplatformError('cutover.differences', {
    message: `${participant.name}: source and target differ in ${names.join(', ')}.`,
  })
}

/** Side by side, and to the end of all of them: whatever follows must not meet one that is still at work. */
export async function allOf<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  const results = await Promise.allSettled(items.map(act))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}
