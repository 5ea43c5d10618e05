/** A verb that asks the worker for one operation of one move and waits for its end. */
import type { EstateStatus, Operation, OperationVerb } from '@replatform/control/api-types'
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
import { connect, type WorkerConnection } from './worker-connection.ts'

export interface OperationCall {
  readonly verb: OperationVerb
  readonly move: string
  readonly options: VerbOptions
}

/** Performs it, prints its result and answers the exit. Throws the operation's error, after its result was printed. */
export async function runOperation(invocation: Invocation, call: OperationCall): Promise<Exit> {
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
  { verb, move, options }: OperationCall,
): Promise<Operation> {
  const { io, actor } = invocation
  const display = openDisplay(invocation, io.err)
  const request = { actor, ...(options.reason === undefined ? {} : { reason: options.reason }) }
  // A cutover inside this process is taken to its end: whoever must stop at once can press Ctrl-C again.
  const mustEnd = own !== null && (verb === 'cutover' || verb === 'rollback')
  const interrupted = mustEnd ? new AbortController().signal : io.interrupted
  const warn = () =>
    invocation.noticeOfInterruption('The cutover is taken to its end first; Ctrl-C again leaves it to the next worker.')
  if (mustEnd) io.interrupted.addEventListener('abort', warn, { once: true })
  try {
    return await performOperation({ client, display, interrupted }, { verb, move, request })
  } finally {
    display.close('clear')
    io.interrupted.removeEventListener('abort', warn)
  }
}

async function printDryRun(invocation: Invocation, { verb, move }: OperationCall): Promise<Exit> {
  await using connection = await connect(invocation, { hostsMoves: false })
  const operation = await connection.client.ask(verb, move, { actor: invocation.actor, dryRun: true })
  invocation.result(operation, (style) => [
    `${verb} ${move} would take these steps; none was taken:`,
    '',
    ...renderPlan(operation.steps, style),
  ])
  return 'ok'
}

function leaveRunning(invocation: Invocation, { own }: WorkerConnection, { verb, move }: Operation): Exit {
  const told = own
    ? `Interrupted: "${verb}" stops at a durable point and goes on with the next worker (\`replatform start ${move}\`).`
    : `Interrupted: the worker goes on with "${verb}"; \`replatform status --watch\` shows it.`
  invocation.noticeOfInterruption(told)
  return 'interrupted'
}

/** What a failed operation still has to show: findings that block, the steps up to the one that failed. */
function failedPart({ result, steps }: Operation, invocation: Invocation): string {
  const style = invocation.styleOf(invocation.io.err)
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
  const { verb, move, result, steps } = operation
  const { state, paused, next } = moveIn(status, move)
  const hints = [
    ...(next ? [`next: ${nextCommands(next, move)}`] : []),
    // Without a worker the way back would fall behind, and nobody would notice.
    ...(isOwn && movesOn(state) ? ['No worker runs after this command: `replatform start` or `worker` goes on.'] : []),
  ]
  switch (result?.kind) {
    case 'findings':
      return [...renderFindings(result.findings, style), ...hints]
    case 'compare':
      return [...renderCompare(result.report, style), ...hints]
    case 'cutover':
      return [`${verb} ${move}: ${summarizeCutover(result.cutover)}`, '', ...renderSteps(steps, style), '', ...hints]
    default:
      return [`${verb} ${move}: done; the move is ${paused ? `paused while ${state}` : state}.`, ...hints]
  }
}

function movesOn(state: string): boolean {
  return state !== 'planned' && state !== 'finalized' && state !== 'cancelled'
}

function exitOfResult({ result }: Operation): Exit {
  if (result?.kind === 'compare' && !result.report.equal) return 'differences'
  if (result?.kind === 'findings' && result.findings.some(({ severity }) => severity === 'blocker')) return 'refused'
  if (result?.kind === 'cutover' && result.cutover.outcome === 'aborted') return 'aborted'
  return 'ok'
}
