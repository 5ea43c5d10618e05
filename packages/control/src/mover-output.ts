import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Log } from '@replatform/core/connector'

/** Levels as pino numbers them. */
const warnLevel = 40
const errorLevel = 50

/** Carries what a mover process prints into the worker's log: its own log lines at their level, all else as warnings. */
export function logOutput(output: Readable, about: { readonly move: string; readonly pid: number }, log: Log): void {
  createInterface({ input: output }).on('line', (line) => {
    const { level, msg, ...fields } = parseLogLine(line) ?? { level: warnLevel, msg: line }
    const write = level >= errorLevel ? log.error : level >= warnLevel ? log.warn : log.info
    write.call(log, { ...fields, ...about }, msg)
  })
}

function parseLogLine(line: string): { level: number; msg: string } | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const parsed = JSON.parse(line) as { level?: unknown; msg?: unknown; time?: unknown; hostname?: unknown }
    const { level, msg, time: _time, hostname: _hostname, ...fields } = parsed
    return typeof level === 'number' && typeof msg === 'string' ? { ...fields, level, msg } : undefined
  } catch {
    return undefined
  }
}
