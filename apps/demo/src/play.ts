/** What the phases share: who acts, and how far everything has come. */
import type { MoveStatus } from '@replatform/control/api-types'
import type { Finding } from '@replatform/core/finding'
import { type Narrator, thousands } from './narrator.ts'
import type { PaymentsLoad } from './payments-load.ts'
import type { PlayOptions } from './play-options.ts'
import type { Recorder } from './recorder.ts'
import type { Replatform } from './replatform.ts'
import type { Stage } from './stage.ts'
import type { FlipResult } from './verdict.ts'

export interface Play {
  readonly options: PlayOptions
  readonly stage: Stage
  readonly load: PaymentsLoad
  readonly replatform: Replatform
  readonly narrator: Narrator
  readonly recorder: Recorder
  readonly flips: FlipResult[]
  /** Rows, keys and messages that were moved, loaded and followed. */
  readonly moved: { rows: number; bytes: number }
}

/** Nearly nothing is on its way, in whatever direction it flows. */
export function isLevel(move: MoveStatus): boolean {
  const flows = move.state === 'in-sync' || move.state === 'reversing' || move.state === 'rolled-back'
  return flows && move.follow !== null && move.follow.lagMs < 500
}

/** One look may be older than what was just changed. */
const levelLooks = 3
const levelWithinMs = 30_000

/** Waits until these moves are level and stay so, and counts what they followed since they last began to. */
export async function becomeLevel(
  { replatform, moved }: Play,
  moves: readonly string[],
): Promise<readonly MoveStatus[]> {
  const level = await replatform.until(moves, isLevel, { looks: levelLooks, withinMs: levelWithinMs })
  for (const { follow } of level) {
    moved.rows += follow?.rows ?? 0
    moved.bytes += follow?.bytes ?? 0
  }
  return level
}

/** Tells what stands in the way and what must be known. */
export async function assess({ replatform, narrator }: Play, store: string): Promise<void> {
  const { result } = await replatform.run('assess', store)
  const findings = result?.kind === 'findings' ? result.findings : []
  const counts = (['blocker', 'risk', 'note'] as const).flatMap((severity) => countOf(severity, findings))
  narrator.say(`${store}: ${counts.join(', ') || 'nothing found'}`)
  for (const { id, title, evidence, remedy } of findings.filter(({ severity }) => severity === 'blocker')) {
    narrator.say(`${id}: ${title} ${evidence.join(', ')}; ${remedy}`)
  }
}

function countOf(severity: Finding['severity'], findings: readonly Finding[]): string[] {
  const some = findings.filter((finding) => finding.severity === severity)
  if (some.length === 0) return []
  return [`${some.length} ${severity}${some.length > 1 ? 's' : ''} (${some.map(({ id }) => id).join(', ')})`]
}

export async function compare({ replatform, narrator }: Play, store: string): Promise<void> {
  const { result } = await replatform.run('compare', store)
  if (result?.kind !== 'compare') throw new Error('The comparison gave no report.')
  const { report } = result
  const rows = report.results.reduce((sum, table) => sum + table.processed, 0)
  const verdict = report.equal ? 'equal' : 'DIFFERENT'
  narrator.say(`${store}: ${thousands(rows)} compared: ${verdict}, in ${report.seconds.toFixed(1)} s`)
  if (!report.equal) throw new Error(`Source and target of ${store} differ.`)
}

export async function rehearse({ replatform, narrator }: Play, wave: string): Promise<void> {
  // It only foretells: should it fail on a busy machine, the cutover itself still says what is true.
  const rehearsal = await replatform.runWhenReady(['rehearse', wave], { attempts: 3 }).catch((thrown: Error) => thrown)
  if (rehearsal instanceof Error) return narrator.say(`did not come to its end: ${rehearsal.message}`)
  const { result } = rehearsal
  if (result?.kind !== 'rehearsal') throw new Error('The rehearsal gave no report.')
  const { passed, problems, prediction } = result.report
  narrator.say(`${passed ? 'passed' : `did not pass: ${problems.join('; ')}`}; expected pause ${prediction.ms} ms`)
}
