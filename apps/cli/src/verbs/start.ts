import type { EstateStatus, MoveStatus } from '@replatform/control/api-types'
import { deserializeError, ReplatformError } from '@replatform/core/errors'
import { Option } from 'commander'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import { renderMove } from '../move-view.ts'
import { askAndWait, type OperationCall, runOperation } from '../operation-verb.ts'
import { moveIn, watchUntil } from '../operation-wait.ts'
import { openDisplay } from '../progress-display.ts'
import { changingOptions, type Verb } from '../verb.ts'
import { connect, type WorkerConnection } from '../worker-connection.ts'

export const start: Verb = {
  name: 'start',
  summary: 'copy, then follow, until you cut over',
  description:
    'Assesses, copies and follows a move, or goes on where it stopped, and shows how it comes along. Without a worker it runs one until Ctrl-C; with one it only looks on.',
  example: 'replatform start ledger\nreplatform start ledger --until in-sync && replatform cutover ledger',
  exits: ['ok', 'refused', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure(command) {
    changingOptions(command)
    command.addOption(new Option('--until <state>', 'end as soon as the move is there').choices(['in-sync']))
  },
  async run(invocation, options, name) {
    const call: OperationCall = { verb: 'start', move: invocation.moveNamed(name), options }
    if (options.dryRun) return runOperation(invocation, call)
    await using connection = await connect(invocation, { hostsMoves: true })
    if (!(await begin(invocation, connection, call))) return interrupted(invocation, connection, call.move)
    // Awaited here: the connection must outlive what uses it.
    return await goOn(invocation, connection, call)
  },
}

/** Asks for the start where the move was not started before. Returns whether there is something to look on at. */
async function begin(invocation: Invocation, connection: WorkerConnection, call: OperationCall): Promise<boolean> {
  const { state, paused } = moveIn(await connection.client.status(), call.move)
  if ((state !== 'planned' && state !== 'cancelled') || paused) return true
  try {
    const operation = await askAndWait(invocation, connection, call)
    if (operation.error) throw deserializeError(operation.error)
    return operation.state === 'done'
  } catch (thrown) {
    // Between the status and the question somebody else may have started it.
    if (thrown instanceof ReplatformError && thrown.code === 'state.transition-refused') return true
    throw thrown
  }
}

async function goOn(invocation: Invocation, connection: WorkerConnection, call: OperationCall): Promise<Exit> {
  const { move, options } = call
  const { io } = invocation
  const display = openDisplay(invocation, io.err)
  const isOver = (status: EstateStatus) => ending(moveIn(status, move), options.until) !== undefined
  const waiting = { client: connection.client, display, interrupted: io.interrupted }
  const status = await watchUntil(waiting, isOver).finally(() => display.close('leave'))
  if (!status) return interrupted(invocation, connection, move)
  return conclude(invocation, connection, moveIn(status, move))
}

/** Why there is nothing more to wait for. Nobody waits for a state that a paused or ended move cannot reach. */
function ending({ state, paused }: MoveStatus, until: string | undefined): 'reached' | 'paused' | 'ended' | undefined {
  if (paused && (paused.error || until)) return 'paused'
  if (state === 'finalized' || state === 'cancelled') return 'ended'
  return until !== undefined && isPast(state) ? 'reached' : undefined
}

function isPast(state: MoveStatus['state']): boolean {
  return !['planned', 'prepared', 'loading', 'catching-up'].includes(state)
}

function conclude(invocation: Invocation, { own }: WorkerConnection, move: MoveStatus): Exit {
  if (move.paused?.error) throw deserializeError(move.paused.error)
  if (move.paused) {
    throw new ReplatformError('state.transition-refused', {
      message: `${move.name} is paused: ${move.paused.reason}`,
      next: `Go on with \`replatform resume ${move.name}\`.`,
    })
  }
  invocation.result(move, (style) => renderMove(move, style))
  if (own) invocation.notice(`This worker stops now; \`replatform start ${move.name}\` goes on where it stopped.`)
  return 'ok'
}

function interrupted(invocation: Invocation, { own }: WorkerConnection, move: string): Exit {
  const told = own
    ? `Stopping at a durable point. \`replatform start ${move}\` goes on where it stopped.`
    : `The worker goes on. \`replatform status --watch\` shows it, \`replatform pause ${move}\` stops it.`
  invocation.noticeOfInterruption(told)
  return 'interrupted'
}
