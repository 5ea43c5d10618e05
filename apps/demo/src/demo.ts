import { setTimeout as sleep } from 'node:timers/promises'
import type { CutoverStatus, MoveStatus, Operation } from '@replatform/control/api-types'
import type { Finding } from '@replatform/core/finding'
import { describeMoves, megabytes, type Narrator, thousands } from './narrator.ts'
import type { Recorder } from './recorder.ts'
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
const wave = 'payments'
const stores = ['ledger', 'sessions'] as const
/** How long payments go on between two cutovers. */
const pauseBetweenMs = 6_000

/** `recorder` is told all along what a report draws. */
export async function runDemo(options: DemoOptions, narrator: Narrator, recorder: Recorder): Promise<DemoVerdict> {
  const startedAt = performance.now()
  narrator.chapter('The estate: a ledger in PostgreSQL 13 behind PgBouncer, sessions in Redis 7 behind HAProxy')
  narrator.say('their new places, empty: PostgreSQL 17 as RDS offers it, Valkey 8 as ElastiCache does')
  await using stage = await Stage.open({ ...options, accounts })
  narrator.say(`a ledger with ${thousands(options.history)} past transfers`)
  await stage.startPayments()
  stage.onPayments((line) => recorder.takePayments(line))
  narrator.say(`${options.rate} payments a second go through the wallet, from now until the end`)
  narrator.say('customers ask for codes, log in, out and again; each key lapses at its own deadline')
  await using replatform = await Replatform.start({ folder: stage.folder, env: stage.env })
  replatform.onMoves((moves) => recorder.takeMoves(moves))

  const moved = await load(replatform, narrator)
  await compare(replatform, narrator)
  const cutovers = []
  const followed = { rows: 0, bytes: 0 }
  // A rehearsal stops following for a moment, and what is followed then counts anew.
  add(followed, await replatform.until(isLevel, (moves) => narrator.progress(describeMoves(moves))))
  await rehearse(replatform, narrator)
  for (const { verb, name, title } of flips) {
    narrator.chapter(title)
    add(followed, await replatform.until(isLevel, (moves) => narrator.progress(describeMoves(moves))))
    cutovers.push(await flip({ stage, replatform, narrator, recorder, verb, name }))
    await sleep(pauseBetweenMs)
  }

  narrator.chapter('Payments end, the way back is given up, the judge decides')
  const loadLine = await stage.stopPayments()
  add(followed, await replatform.until(isLevel, (moves) => narrator.progress(describeMoves(moves))))
  await replatform.run('finalize', '--wave', wave)
  narrator.say('finalized: nothing of the move is left but the fence of the old side')
  const judge = await stage.judge()
  const sessions = await stage.judgeSessions()
  const felt = cutovers.map((cutover) => cutover.felt)
  return {
    verdict: judge.verdict === 'clean' ? sessions.verdict : judge.verdict,
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
    sessions,
  }
}

const flips = [
  {
    verb: 'cutover',
    name: 'cutover',
    title: 'Cutover: ledger and sessions take writes on their new sides, by one decision',
  },
  {
    verb: 'rollback',
    name: 'rollback',
    title: 'Rollback: back to the old sides, with every payment and session made since',
  },
  { verb: 'cutover', name: 'second cutover', title: 'Cutover again' },
] as const

async function load(replatform: Replatform, narrator: Narrator): Promise<{ rows: number; bytes: number }> {
  narrator.chapter('Assess, load and follow, while payments go on')
  for (const store of stores) {
    const assessed = await replatform.run('assess', store)
    tellFindings(store, assessed.result?.kind === 'findings' ? assessed.result.findings : [], narrator)
  }
  await Promise.all(stores.map((store) => replatform.run('start', store, '--until', 'in-sync')))
  const moves = await replatform.until(isLevel, (all) => narrator.progress(describeMoves(all)))
  const groups = moves.flatMap((move) => move.load?.groups ?? [])
  const rows = groups.reduce((sum, group) => sum + group.loaded.rows, 0)
  const bytes = groups.reduce((sum, group) => sum + group.loaded.bytes, 0)
  const lagMs = Math.max(...moves.map(({ follow }) => follow?.lagMs ?? 0))
  narrator.say(`in sync: ${thousands(rows)} rows and keys loaded, ${megabytes(bytes)}, lag ${lagMs} ms`)
  return { rows, bytes }
}

function tellFindings(store: string, findings: readonly Finding[], narrator: Narrator): void {
  for (const severity of ['blocker', 'risk', 'note'] as const) {
    const some = findings.filter((finding) => finding.severity === severity)
    if (some.length === 0) continue
    narrator.say(
      `${store}: ${some.length} ${severity}${some.length > 1 ? 's' : ''}: ${some.map((f) => f.id).join(', ')}`,
    )
  }
  for (const { id, title, evidence, remedy } of findings.filter(({ severity }) => severity === 'blocker')) {
    narrator.say(`${id}: ${title} ${evidence.join(', ')}; ${remedy}`)
  }
}

async function compare(replatform: Replatform, narrator: Narrator): Promise<void> {
  narrator.chapter('Compare, row by row and key by key, both sides at one position')
  for (const store of stores) {
    const { result } = await replatform.run('compare', store)
    if (result?.kind !== 'compare') throw new Error('The comparison gave no report.')
    const { report } = result
    const rows = report.results.reduce((sum, table) => sum + table.processed, 0)
    const verdict = report.equal ? 'equal' : 'DIFFERENT'
    narrator.say(`${store}: ${thousands(rows)} compared: ${verdict}, in ${report.seconds.toFixed(1)} s`)
    if (!report.equal) throw new Error(`Source and target of ${store} differ.`)
  }
}

async function rehearse(replatform: Replatform, narrator: Narrator): Promise<void> {
  narrator.chapter('Rehearse: all of the cutover that payments do not feel')
  // It only foretells: should it fail on a busy machine, the cutover itself still says what is true.
  const rehearsal = await replatform.run('rehearse', wave).catch((thrown: Error) => thrown)
  if (rehearsal instanceof Error) return narrator.say(`did not come to its end: ${rehearsal.message}`)
  const { result } = rehearsal
  if (result?.kind !== 'rehearsal') throw new Error('The rehearsal gave no report.')
  const { passed, problems, prediction } = result.report
  narrator.say(`${passed ? 'passed' : `did not pass: ${problems.join('; ')}`}; expected pause ${prediction.ms} ms`)
}

interface Flip {
  readonly stage: Stage
  readonly replatform: Replatform
  readonly narrator: Narrator
  readonly recorder: Recorder
  readonly verb: 'cutover' | 'rollback'
  readonly name: string
}

async function flip({
  stage,
  replatform,
  narrator,
  recorder,
  verb,
  name,
}: Flip): Promise<DemoVerdict['cutovers'][number]> {
  const from = new Date().toISOString()
  const cutover = cutoverOf(await replatform.run(verb, '--wave', wave))
  recorder.takeCutover(name, cutover)
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
function add(sum: { rows: number; bytes: number }, moves: readonly MoveStatus[]): void {
  for (const { follow } of moves) {
    sum.rows += follow?.rows ?? 0
    sum.bytes += follow?.bytes ?? 0
  }
}

function cutoverOf({ result }: Operation): CutoverStatus {
  if (result?.kind !== 'cutover') throw new Error('The cutover gave no result.')
  return result.cutover
}

function isLevel(move: MoveStatus): boolean {
  const flows = move.state === 'in-sync' || move.state === 'reversing' || move.state === 'rolled-back'
  return flows && move.follow !== null && move.follow.lagMs < 500
}
