/** A verb that asks the worker for one operation of one move and waits for its end. */
import type { ApiClient } from '@replatform/control/api-client'
import type {
  EstateStatus,
  MoveStatus,
  Operation,
  OperationRequest,
  OperationVerb,
  WaveVerb,
} from '@replatform/control/api-types'
import { subjectOf } from '@replatform/control/operation-subject'
import { deserializeError } from '@replatform/core/errors'
import { renderCompare } from './compare-view.ts'
import type { Exit } from './exit-codes.ts'
import { renderFindings } from './findings-view.ts'
import type { Invocation } from './invocation.ts'
import { nextCommands } from './move-view.ts'
import { moveIn, performOperation } from './operation-wait.ts'
import { openDisplay } from './progress-display.ts'
import { renderPlan, renderSteps, summarizeCutover } from './steps-view.ts'
import type { Style } from './style.ts'
import type { VerbOptions } from './verb.ts'
import { renderPreview, renderRehearsal } from './wave-view.ts'
import { connect, type WorkerConnection } from './worker-connection.ts'

export interface OperationCall {
  readonly verb: OperationVerb
  readonly move: string
  readonly options: VerbOptions
  /** Of `throttle`. */
  readonly limits?: OperationRequest['limits']
}

/** What is asked of a wave as a whole. */
export interface WaveCall {
  readonly verb: WaveVerb
  readonly wave: string
  readonly options: VerbOptions
}

/** Performs it, prints its result and answers the exit. Throws the operation's error, after its result was printed. */
export async function runOperation(invocation: Invocation, call: OperationCall | WaveCall): Promise<Exit> {
  if (call.options.dryRun) return printDryRun(invocation, call)
  await using connection = await connect(invocation, { hostsMoves: true })
  const operation = await askAndWait(invocation, connection, call)
  if (operation.state === 'running') return leaveRunning(invocation, connection, operation)
  if (operation.error && !invocation.json) invocation.io.err.write(failedPart(operation, invocation))
  if (operation.error) throw deserializeError(operation.error)
  const status = await connection.client.status()
  invocation.result(operation, (style) => resultLines(operation, { status, isOwn: connection.own !== null, style }))
  return exitOfResult(operation)
}

export async function askAndWait(
  invocation: Invocation,
  { client, own }: WorkerConnection,
  call: OperationCall | WaveCall,
): Promise<Operation> {
  const { verb, options } = call
  const { io, actor } = invocation
  const display = openDisplay(invocation, io.err)
  const { reason, override } = options
  const request = {
    actor,
    ...(reason === undefined ? {} : { reason }),
    ...(override ? { override } : {}),
    ...limitsIn(call),
  }
  // A cutover inside this process is taken to its end: whoever must stop at once can press Ctrl-C again.
  const mustEnd = own !== null && (verb === 'cutover' || verb === 'rollback')
  const interrupted = mustEnd ? new AbortController().signal : io.interrupted
  const warn = () =>
    invocation.noticeOfInterruption('The cutover is taken to its end first; Ctrl-C again leaves it to the next worker.')
  if (mustEnd) io.interrupted.addEventListener('abort', warn, { once: true })
  try {
    return await performOperation({ client, display, interrupted }, (api) => ask(api, call, request))
  } finally {
    display.close('clear')
    io.interrupted.removeEventListener('abort', warn)
  }
}

function ask(client: ApiClient, call: OperationCall | WaveCall, request: OperationRequest): Promise<Operation> {
  return 'wave' in call ? client.askWave(call.verb, call.wave, request) : client.ask(call.verb, call.move, request)
}

function limitsIn(call: OperationCall | WaveCall): Pick<OperationRequest, 'limits'> {
  return 'limits' in call && call.limits ? { limits: call.limits } : {}
}

async function printDryRun(invocation: Invocation, call: OperationCall | WaveCall): Promise<Exit> {
  await using connection = await connect(invocation, { hostsMoves: false })
  const request = { actor: invocation.actor, dryRun: true, ...limitsIn(call) }
  const operation = await ask(connection.client, call, request)
  invocation.result(operation, (style) => [
    `${call.verb} ${subjectOf(operation)} would take these steps; none was taken:`,
    '',
    ...renderPlan(operation.steps, style),
    ...(operation.result?.kind === 'preview' ? ['', ...renderPreview(operation.result, style)] : []),
  ])
  return 'ok'
}

function leaveRunning(invocation: Invocation, { own }: WorkerConnection, { verb, move }: Operation): Exit {
  const next = move === null ? 'replatform worker' : `replatform start ${move}`
  const told = own
    ? `Interrupted: "${verb}" stops at a durable point and goes on with the next worker (\`${next}\`).`
    : `Interrupted: the worker goes on with "${verb}"; \`replatform status --watch\` shows it.`
  invocation.noticeOfInterruption(told)
  return 'interrupted'
}

/** What a failed operation still has to show: findings that block, the steps up to the one that failed. */
function failedPart({ result, steps }: Operation, invocation: Invocation): string {
  const style = invocation.styleOf(invocation.io.err)
  if (result?.kind === 'rehearsal') return `${renderRehearsal(result.report, style).join('\n')}\n\n`
  if (result?.kind === 'findings') return `${renderFindings(result.findings, style).join('\n')}\n\n`
  const begun = steps.filter(({ state }) => state !== 'planned')
  return begun.length > 0 ? `${renderSteps(begun, style).join('\n')}\n\n` : ''
}

interface ResultContext {
  readonly status: EstateStatus
  readonly isOwn: boolean
  readonly style: Style
}

function resultLines(operation: Operation, { status, isOwn, style }: ResultContext): string[] {
  const { verb, result, steps } = operation
  const asked = subjectOf(operation)
  const moves = movesIn(status, operation)
  const hints = [
    ...nextHints(status, operation),
    // Without a worker the way back would fall behind, and nobody would notice.
    ...(isOwn && moves.some(({ state }) => movesOn(state))
      ? ['No worker runs after this command: `replatform start` or `worker` goes on.']
      : []),
  ]
  switch (result?.kind) {
    case 'findings':
      return [...renderFindings(result.findings, style), ...hints]
    case 'compare':
      return [...renderCompare(result.report, style), ...hints]
    case 'cutover':
      return [`${verb} ${asked}: ${summarizeCutover(result.cutover)}`, '', ...renderSteps(steps, style), '', ...hints]
    case 'rehearsal':
      return [...renderRehearsal(result.report, style), '', ...hints]
    default:
      return [`${verb} ${asked}: done; ${moves.map(stateInWords).join(', ')}.`, ...hints]
  }
}

function movesIn(status: EstateStatus, { move, wave }: Operation): MoveStatus[] {
  if (move !== null) return [moveIn(status, move)]
  const names = status.waves.find(({ name }) => name === wave)?.moves ?? []
  return names.map((name) => moveIn(status, name))
}

function nextHints(status: EstateStatus, { move, wave }: Operation): string[] {
  if (move !== null) {
    const { next } = moveIn(status, move)
    return next ? [`next: ${nextCommands(next, move)}`] : []
  }
  const next = status.waves.find(({ name }) => name === wave)?.next
  return next ? [`next: ${nextCommands(next, `--wave ${wave}`)}`] : []
}

function stateInWords({ name, state, paused }: MoveStatus): string {
  return `${name} is ${paused ? `paused while ${state}` : state}`
}

function movesOn(state: string): boolean {
  return state !== 'planned' && state !== 'finalized' && state !== 'cancelled'
}

function exitOfResult({ result }: Operation): Exit {
  if (result?.kind === 'compare' && !result.report.equal) return 'differences'
  if (result?.kind === 'findings' && result.findings.some(({ severity }) => severity === 'blocker')) return 'refused'
  if (result?.kind === 'rehearsal' && !result.report.passed) return 'refused'
  if (result?.kind === 'cutover' && result.cutover.outcome === 'aborted') return 'aborted'
  return 'ok'
}
