/** Every command works through the worker that owns the state directory, or brings one along for its own duration. */
import { setTimeout as delay } from 'node:timers/promises'
import { ApiClient } from '@replatform/control/api-client'
import type { Worker } from '@replatform/control/worker'
import { ReplatformError } from '@replatform/core/errors'
import type { Invocation } from './invocation.ts'
import { openWorkerLog } from './worker-log.ts'

export interface ConnectOptions {
  /** Whether a worker of our own may run movers. One that only answers questions must not. */
  readonly hostsMoves: boolean
}

export interface WorkerConnection extends AsyncDisposable {
  readonly client: ApiClient
  /** The worker that runs in this very process, where none did before. */
  readonly own: Worker | null
}

/** A worker that is being started has its lock before its socket. */
const startingWithinMs = 15_000

/** Attaches to the running worker or starts one; disposing of the connection stops only that. */
export async function connect(invocation: Invocation, options: ConnectOptions): Promise<WorkerConnection> {
  // Before anything is created: without an estate there is nothing to work for.
  void invocation.estate
  const client = new ApiClient(invocation.stateDirectory)
  const deadline = performance.now() + startingWithinMs
  let isTold = !options.hostsMoves
  while (true) {
    if (await isListening(client)) return { client, own: null, [Symbol.asyncDispose]: async () => {} }
    if (!isTold) invocation.notice('No worker runs: this command brings one along.')
    isTold = true
    try {
      // Loaded only now: attaching must not wait for databases and connectors that it does not need.
      const { startOwnWorker } = await import('./own-worker.ts')
      const own = await startOwnWorker(invocation, openWorkerLog(invocation.stateDirectory), options)
      return { client, own, [Symbol.asyncDispose]: () => own.stop() }
    } catch (thrown) {
      const isStarting = thrown instanceof ReplatformError && thrown.code === 'state.locked'
      if (!isStarting || performance.now() > deadline) throw thrown
      await delay(100)
    }
  }
}

/** Any answer counts, also an error: somebody listens. */
export async function isListening(client: ApiClient): Promise<boolean> {
  try {
    await client.status()
    return true
  } catch (thrown) {
    return !(thrown instanceof ReplatformError && thrown.code === 'control.unreachable')
  }
}
