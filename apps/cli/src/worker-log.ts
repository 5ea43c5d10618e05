import { join } from 'node:path'
import pino, { type DestinationStream, type Logger } from 'pino'
import { describeError } from './error-description.ts'

/** Where a worker that runs inside another command writes its log, since the terminal belongs to the view. */
export function workerLogPath(stateDirectory: string): string {
  return join(stateDirectory, 'worker.log')
}

/** Creates its file at the first entry: nothing may be written in a directory that the worker refuses to open. */
export function openWorkerLog(stateDirectory: string): Logger {
  let file: DestinationStream | undefined
  return createLog({
    write(line) {
      file ??= pino.destination({ dest: workerLogPath(stateDirectory), mode: 0o600, sync: true })
      file.write(line)
    },
  })
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
