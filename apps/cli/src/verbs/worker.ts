import { InvalidArgumentError } from 'commander'
import pino from 'pino'
import type { Verb } from '../verb.ts'
import { createLog } from '../worker-log.ts'

export const worker: Verb = {
  name: 'worker',
  summary: 'run a worker, for a service manager',
  description:
    'Runs a worker until SIGTERM or Ctrl-C: it hosts the moves of the estate and serves the other commands. Its log goes to standard error, a line of JSON an entry. With REPLATFORM_CONTROL_URL set, workers on several machines share a PostgreSQL.',
  example: 'replatform worker --estate /etc/replatform/estate.yaml',
  exits: ['ok', 'usage', 'refused', 'unreachable', 'failed'],
  configure(command) {
    command.option('--at-most <count>', 'how many waves it hosts at once, so that others get their share', parseCount)
  },
  async run(invocation, { atMost }) {
    const { io } = invocation
    const log = createLog(pino.destination({ dest: 2, sync: true }))
    const { startOwnWorker } = await import('../own-worker.ts')
    const running = await startOwnWorker(invocation, log, { hostsMoves: true, mostWaves: atMost })
    const stop = () => void running.stop()
    io.interrupted.addEventListener('abort', stop, { once: true })
    if (io.interrupted.aborted) stop()
    await running.stopped
    if (invocation.json) io.out.write(`${JSON.stringify({ stopped: true })}\n`)
    return 'ok'
  },
}

function parseCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 1_000) return count
  throw new InvalidArgumentError('A whole number from 1 to 1000 is expected.')
}
