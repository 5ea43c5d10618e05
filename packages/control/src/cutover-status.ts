import { planCutover } from '@replatform/engine/cutover-steps'
import type { CutoverStatus, StepStatus } from './api-types.ts'
import type { CutoverRecord } from './cutover-records.ts'
import { stepsTaken } from './journal.ts'
import type { Services } from './services.ts'

/** The decision stands in its own record, which may be ahead of the control database. */
export async function cutoverStatus(
  { journal, decisions }: Pick<Services, 'journal' | 'decisions'>,
  { id, direction, budgetMs, predictedMs, outcome, pauseMs }: CutoverRecord,
): Promise<CutoverStatus> {
  const standing = outcome ?? (await decisions.read(id))?.outcome ?? 'undecided'
  const plan = planCutover(direction).map(({ name, description }): StepStatus => {
    return { name, description, state: 'planned', startedAt: null, ms: null }
  })
  const steps = stepsTaken(plan, await journal.ofOperation(id), outcome !== null)
  return { id, direction, outcome: standing, pauseMs, budgetMs, predictedMs, steps }
}
