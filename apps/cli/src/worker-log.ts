import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import pino, { type DestinationStream, type Logger } from 'pino'
import { describeError } from './error-description.ts'

/** Where a worker that runs inside another command writes its log, since the terminal belongs to the view. */
export function workerLogPath(stateDirectory: string): string {
  return join(stateDirectory, 'worker.log')
}

export function openWorkerLog(stateDirectory: string): Logger {
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
    return createLog(pino.destination({ dest: workerLogPath(stateDirectory), mode: 0o600, sync: true }))
  } catch (cause) {
    const message = `The state directory ${stateDirectory} cannot be used: ${(cause as Error).message}.`
    throw new ReplatformError('state.unusable', { message, cause })
  }
}

/** The guard of a cutover may outlive the worker, whose streams are gone then. */
export function openGuardLog(stateDirectory: string): Logger {
  return createLog(pino.destination({ dest: join(stateDirectory, 'guard.log'), mode: 0o600, sync: true }))
}

/** One line of JSON an entry. */
export function createLog(destination: DestinationStream): Logger {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: describeError } },
    destination,
  )
}
