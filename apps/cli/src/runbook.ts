/** The night of a wave on one page: who does what when, what to expect, how to go back; with what really happened. */
import type { MoveStatus, OperationVerb, PastOperation, StepStatus, WaveStatus } from '@replatform/control/api-types'
import { planCutover } from '@replatform/engine/cutover-steps'
import { formatDuration } from './quantities.ts'

export interface Runbook {
  readonly wave: string
  readonly writtenAt: string
  readonly facts: readonly (readonly [string, string])[]
  readonly tasks: readonly RunbookTask[]
  /** Inside the cutover: what is expected, and what was. */
  readonly steps: readonly RunbookStep[]
  readonly backWays: readonly string[]
}

export interface RunbookTask {
  readonly who: string
  readonly when: string
  readonly command: string
  readonly expect: string
  /** Empty until it was done. */
  readonly actual: string
}

export interface RunbookStep {
  readonly name: string
  readonly description: string
  readonly expected: string
  readonly actual: string
}

export interface RunbookSource {
  readonly wave: WaveStatus
  readonly moves: readonly MoveStatus[]
  readonly history: readonly PastOperation[]
  readonly writtenAt: string
}

export function writeRunbook({ wave, moves, history, writtenAt }: RunbookSource): Runbook {
  return {
    wave: wave.name,
    writtenAt,
    facts: factsOf(wave, moves),
    tasks: [...beforehand(wave, history), ...theNight(wave, history)],
    steps: stepsOf(wave),
    backWays: backWaysOf(wave),
  }
}

function factsOf(wave: WaveStatus, moves: readonly MoveStatus[]): [string, string][] {
  const { phase, approver, window, prediction, lastRehearsal, pauseBudgetMs } = wave
  const rehearsed = lastRehearsal ? `${lastRehearsal.at}, ${lastRehearsal.passed ? 'passed' : 'not passed'}` : 'never'
  return [
    ['Phase', phase],
    ['Moves', moves.map(({ name, route, state }) => `${name} (${route}, ${state})`).join('; ')],
    ['Approver', approver ?? 'nobody is named'],
    ['Window', window ? `${window.from} to ${window.to}` : 'none'],
    ['Pause budget', formatDuration(pauseBudgetMs)],
    ['Expected pause', prediction ? formatDuration(prediction.ms) : 'not known: rehearse first'],
    ['Last rehearsal', rehearsed],
    ...wave.gates.map(({ name, state, detail }): [string, string] => [`Gate ${name}`, `${state}: ${detail}`]),
  ]
}

function beforehand(wave: WaveStatus, history: readonly PastOperation[]): RunbookTask[] {
  const each = (verb: OperationVerb, when: string, expect: string) =>
    wave.moves.map((move) => ({
      who: 'operator',
      when,
      command: `replatform ${verb} ${move}`,
      expect,
      actual: actualOf(history, verb, move),
    }))
  const days = 'days before'
  return [
    ...each('assess', days, 'no blocker; read every risk'),
    ...each('start', days, 'loads, then follows; `replatform status --watch` shows how far'),
    ...each('compare', 'hours before', 'equal; values are never shown'),
    {
      who: 'operator',
      when: 'hours before',
      command: `replatform rehearse ${wave.name}`,
      expect: `passes, and predicts a pause below ${formatDuration(wave.pauseBudgetMs)}; payments notice nothing`,
      actual: actualOf(history, 'rehearse', null),
    },
    {
      who: wave.approver ?? 'operator',
      when: 'before the window',
      command: `replatform approve ${wave.name}`,
      expect: 'counts for one cutover of the wave as the file has it now',
      actual: wave.gates.find(({ name, state }) => name === 'approval' && state === 'holds')?.detail ?? '',
    },
  ]
}

function theNight(wave: WaveStatus, history: readonly PastOperation[]): RunbookTask[] {
  const { name, window, prediction, pauseBudgetMs } = wave
  const when = window ? `from ${window.from} on` : 'when all gates hold'
  const pause = prediction ? `about ${formatDuration(prediction.ms)}` : 'not known'
  const night = (verb: OperationVerb, at: string, expect: string): RunbookTask => {
    const command = `replatform ${verb} --wave ${name}`
    return { who: 'operator', when: at, command, expect, actual: actualOf(history, verb, null) }
  }
  const dry = `replatform cutover --wave ${name} --dry-run`
  return [
    { who: 'operator', when, command: dry, expect: 'every gate holds; the steps below', actual: '' },
    night(
      'cutover',
      when,
      `writes wait ${pause}, at most ${formatDuration(pauseBudgetMs)}; then the new sides are open`,
    ),
    night('rollback', 'only when the new side fails', 'writes wait as long again; every write made since is kept'),
    night('finalize', 'when nobody wants to go back any more', 'the ways back end; the old sides stay fenced'),
  ]
}

/** The expected time of each step, and of the last cutover the real one. */
function stepsOf({ prediction, lastCutover }: WaveStatus): RunbookStep[] {
  const expected = new Map(prediction?.parts.map(({ step, ms, by }) => [step, `${formatDuration(ms)} (${by})`]))
  const isForward = lastCutover?.direction === 'forward'
  const taken: readonly StepStatus[] = isForward ? lastCutover.steps : []
  const actual = new Map(taken.map((step) => [step.name, actualOfStep(step)]))
  const names = new Set(planCutover('forward').map(({ name }) => name as string))
  const extra = taken.filter(({ name }) => !names.has(name))
  return [...planCutover('forward'), ...extra].map(({ name, description }) => {
    return { name, description, expected: expected.get(name) ?? '', actual: actual.get(name) ?? '' }
  })
}

function actualOfStep({ state, startedAt, ms }: StepStatus): string {
  if (state === 'planned' || state === 'skipped') return state === 'skipped' ? 'not taken' : ''
  const time = startedAt ? startedAt.slice(11, 23) : ''
  return `${time} ${state === 'done' && ms !== null ? formatDuration(ms) : state}`.trim()
}

function backWaysOf({ name, moves }: WaveStatus): string[] {
  return [
    'Before the decision nothing needs to be done: any fault, or the end of the budget, opens the old sides again.',
    `Ctrl-C leaves the cutover to the worker. When the worker dies, its guard ends the cutover within the budget and one second; start another (\`replatform worker\`) and look at \`replatform status\`.`,
    `After the decision: \`replatform rollback --wave ${name}\`, possible until finalize.`,
    `A move that is paused says why; \`replatform resume ${moves[0]}\` ends an open cutover for the whole wave.`,
    'Sources that stay fenced with no worker alive are opened by starting a worker on the same control state; never by hand while the decision is not known.',
  ]
}

/** The last of that verb: when it began, how long it took, by whom, how it ended. */
function actualOf(history: readonly PastOperation[], verb: OperationVerb, move: string | null): string {
  const last = history.findLast((operation) => operation.verb === verb && operation.move === move)
  if (!last) return ''
  const begun = `${last.startedAt.slice(0, 19).replace('T', ' ')} by ${last.actor}`
  if (last.finishedAt === null) return `${begun}: running`
  const took = formatDuration(Date.parse(last.finishedAt) - Date.parse(last.startedAt))
  return `${begun}: ${last.state === 'done' ? `done in ${took}` : `failed after ${took} (${last.error})`}`
}
