import { setTimeout as sleep } from 'node:timers/promises'
import type { CutoverStatus, MoveStatus, Operation } from '@replatform/control/api-types'
import { describeMove, megabytes, type Narrator, thousands } from './narrator.ts'
import { Replatform } from './replatform.ts'
import { Stage } from './stage.ts'
import type { DemoVerdict } from './verdict.ts'

export interface DemoOptions {
  /** Payments a second. */
  readonly rate: number
  /** Past transfers in the ledger. */
  readonly history: number
  readonly seed: number
}

const accounts = 2_000
/** How long payments go on between two cutovers. */
const pauseBetweenMs = 6_000

export async function runDemo(options: DemoOptions, narrator: Narrator): Promise<DemoVerdict> {
  const startedAt = performance.now()
  narrator.chapter('The estate: PostgreSQL 13 behind PgBouncer, an empty PostgreSQL 17 as RDS offers it')
  await using stage = await Stage.open({ ...options, accounts })
  narrator.say(`a ledger with ${thousands(options.history)} past transfers`)
  await stage.startPayments()
  narrator.say(`${options.rate} payments a second go through the wallet, from now until the end`)
  await using replatform = await Replatform.start({ folder: stage.folder, env: stage.env })

  const moved = await load(replatform, narrator)
  await compare(replatform, narrator)
  const cutovers = []
  const followed = { rows: 0, bytes: 0 }
  for (const { verb, name, title } of flips) {
    narrator.chapter(title)
    add(followed, await replatform.until(isLevel, (move) => narrator.progress(describeMove(move))))
    cutovers.push(await flip({ stage, replatform, narrator, verb, name }))
    await sleep(pauseBetweenMs)
  }

  narrator.chapter('Payments end, the way back is given up, the judge decides')
  const loadLine = await stage.stopPayments()
  add(followed, await replatform.until(isLevel, (move) => narrator.progress(describeMove(move))))
  await replatform.run('finalize')
  narrator.say('finalized: nothing of the move is left but the fence of the old side')
  const judge = await stage.judge()
  const felt = cutovers.map((cutover) => cutover.felt)
  return {
    verdict: judge.verdict,
    payments: judge.payments,
    lost: judge.lost,
    doubled: judge.doubled,
    unknown: judge.unknown,
    writePauseMs: {
      p99: Math.max(...felt.map(({ p99LatencyMs }) => p99LatencyMs)),
      max: Math.max(...felt.map(({ longestGapMs }) => longestGapMs)),
    },
    cutovers,
    rowsMoved: moved.rows + followed.rows,
    bytesMoved: moved.bytes + followed.bytes,
    seconds: (performance.now() - startedAt) / 1_000,
    load: loadLine,
    judge,
  }
}

const flips = [
  { verb: 'cutover', name: 'cutover', title: 'Cutover: PostgreSQL 17 takes the payments' },
  { verb: 'rollback', name: 'rollback', title: 'Rollback: back to 13, with every payment made since' },
  { verb: 'cutover', name: 'second cutover', title: 'Cutover again' },
] as const

async function load(replatform: Replatform, narrator: Narrator): Promise<{ rows: number; bytes: number }> {
  narrator.chapter('Assess, load and follow, while payments go on')
  const assessed = await replatform.run('assess')
  const findings = assessed.result?.kind === 'findings' ? assessed.result.findings : []
  for (const severity of ['blocker', 'risk', 'note'] as const) {
    const some = findings.filter((finding) => finding.severity === severity)
    if (some.length > 0)
      narrator.say(`${some.length} ${severity}${some.length > 1 ? 's' : ''}: ${some.map((f) => f.id).join(', ')}`)
  }
  for (const { id, title, evidence, remedy } of findings.filter(({ severity }) => severity === 'blocker')) {
    narrator.say(`${id}: ${title} ${evidence.join(', ')}; ${remedy}`)
  }
  await replatform.run('start', '--until', 'in-sync')
  const move = await replatform.until(isLevel, (status) => narrator.progress(describeMove(status)))
  const groups = move.load?.groups ?? []
  const rows = groups.reduce((sum, group) => sum + group.loaded.rows, 0)
  const bytes = groups.reduce((sum, group) => sum + group.loaded.bytes, 0)
  narrator.say(`in sync: ${thousands(rows)} rows loaded, ${megabytes(bytes)}, lag ${move.follow?.lagMs ?? 0} ms`)
  return { rows, bytes }
}

async function compare(replatform: Replatform, narrator: Narrator): Promise<void> {
  narrator.chapter('Compare, row by row, both sides at one position')
  const { result } = await replatform.run('compare')
  if (result?.kind !== 'compare') throw new Error('The comparison gave no report.')
  const { report } = result
  const rows = report.results.reduce((sum, table) => sum + table.processed, 0)
  narrator.say(
    `${thousands(rows)} rows of ${report.results.length} tables: ${report.equal ? 'equal' : 'DIFFERENT'}, in ${report.seconds.toFixed(1)} s`,
  )
  if (!report.equal) throw new Error('Source and target differ.')
}

interface Flip {
  readonly stage: Stage
  readonly replatform: Replatform
  readonly narrator: Narrator
  readonly verb: 'cutover' | 'rollback'
  readonly name: string
}

async function flip({ stage, replatform, narrator, verb, name }: Flip): Promise<DemoVerdict['cutovers'][number]> {
  const from = new Date().toISOString()
  const cutover = cutoverOf(await replatform.run(verb))
  // The first payments after the release belong to what was felt.
  await sleep(1_000)
  const felt = await stage.pauseWithin(from, new Date().toISOString())
  const steps = cutover.steps.filter((step) => step.ms !== null && step.state === 'done')
  narrator.say(`milliseconds: ${steps.map((step) => `${step.name} ${Math.round(step.ms ?? 0)}`).join(' · ')}`)
  narrator.say(
    `${cutover.outcome}: pause ${Math.round(cutover.pauseMs ?? 0)} ms; payments felt a gap of ${Math.round(felt.longestGapMs)} ms`,
  )
  if (cutover.outcome !== 'committed') throw new Error(`The ${name} was aborted.`)
  return { name, pauseMs: cutover.pauseMs, felt }
}

/** What was followed since the last cutover; each direction counts anew. */
function add(sum: { rows: number; bytes: number }, { follow }: MoveStatus): void {
  sum.rows += follow?.rows ?? 0
  sum.bytes += follow?.bytes ?? 0
}

function cutoverOf({ result }: Operation): CutoverStatus {
  if (result?.kind !== 'cutover') throw new Error('The cutover gave no result.')
  return result.cutover
}

function isLevel(move: MoveStatus): boolean {
  const flows = move.state === 'in-sync' || move.state === 'reversing' || move.state === 'rolled-back'
  return flows && move.follow !== null && move.follow.lagMs < 500
}
