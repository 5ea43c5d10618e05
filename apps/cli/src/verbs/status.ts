import { ApiClient } from '@replatform/control/api-client'
import { ReplatformError } from '@replatform/core/errors'
import { renderEstate } from '../estate-view.ts'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import { pause, watchUntil } from '../operation-wait.ts'
import { openDisplay, type ProgressDisplay } from '../progress-display.ts'
import type { Verb } from '../verb.ts'
import { connect, isListening } from '../worker-connection.ts'

export const status: Verb = {
  name: 'status',
  summary: 'show where each move is and what comes next',
  description:
    'Shows each move: state, load, lag, last comparison and cutover, and the verb that comes next. With --watch it goes on until Ctrl-C; with --watch --json it prints a line of JSON for each look.',
  example: 'replatform status --watch',
  exits: ['ok', 'usage', 'refused', 'failed'],
  configure: (command) => command.option('--watch', 'go on showing until Ctrl-C'),
  run: (invocation, options) => (options.watch ? watch(invocation) : once(invocation)),
}

async function once(invocation: Invocation): Promise<Exit> {
  await using connection = await connect(invocation, { hostsMoves: false })
  const estate = await connection.client.status()
  invocation.result(estate, (style) => renderEstate(estate, style))
  const isMoving = estate.moves.some(({ state }) => !['planned', 'finalized', 'cancelled'].includes(state))
  if (connection.own && isMoving) {
    invocation.notice('\nNo worker runs: nothing moves until `replatform start` or `replatform worker`.')
  }
  return 'ok'
}

/** Comes and goes with the workers: one of our own would keep others out for as long as somebody looks on. */
async function watch(invocation: Invocation): Promise<Exit> {
  const { interrupted, out } = invocation.io
  const client = new ApiClient(invocation.stateDirectory)
  const display = invocation.json ? jsonLines(invocation) : openDisplay(invocation, out)
  // The estate is not needed here, but a mistyped --estate must not make us wait for ever.
  void invocation.estate
  while (!interrupted.aborted) {
    try {
      await watchUntil({ client, display, interrupted }, () => false)
    } catch (thrown) {
      if (!(thrown instanceof ReplatformError && thrown.code === 'control.unreachable')) throw thrown
      invocation.notice('No worker runs; waiting for one (`replatform start` or `replatform worker`).')
      while (!interrupted.aborted && !(await isListening(client))) await pause(500, interrupted)
    }
  }
  display.close('leave')
  return 'ok'
}

function jsonLines({ io }: Invocation): ProgressDisplay {
  return {
    intervalMs: 1_000,
    show: (estate) => void io.out.write(`${JSON.stringify(estate)}\n`),
    close: () => {},
  }
}
