/** Main programs as processes, for the tests here. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'

/** Runs a main program of ours, with nothing in its environment but what is told. */
export function start(program: string, options: readonly string[], environment: Record<string, string>): ChildProcess {
  const path = join(import.meta.dirname, program)
  return spawn(process.execPath, [path, ...options], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Its lines, when it has ended well and said nothing on standard error. */
export async function finished<Line = object>(program: ChildProcess): Promise<Line[]> {
  let complaint = ''
  program.stderr?.on('data', (part) => (complaint += part))
  const [lines, [code]] = await Promise.all([read<Line>(program), once(program, 'exit')])
  expect({ code, complaint }).toEqual({ code: 0, complaint: '' })
  return lines
}

export async function read<Line>(program: ChildProcess): Promise<Line[]> {
  if (program.stdout === null) throw new Error('no output')
  const lines: Line[] = []
  for await (const line of createInterface({ input: program.stdout })) lines.push(JSON.parse(line) as Line)
  return lines
}

export async function firstLine(program: ChildProcess): Promise<string> {
  if (program.stdout === null) throw new Error('no output')
  const [line] = await once(createInterface({ input: program.stdout }), 'line')
  return String(line)
}

export interface StartedService extends AsyncDisposable {
  readonly url: string
}

/** Starts a service on a port of its choice; it must end well when it is told to. */
export async function startService(
  program: string,
  environment: Record<string, string>,
  options: readonly string[] = [],
): Promise<StartedService> {
  const child = start(program, options, environment)
  let complaint = ''
  child.stderr?.on('data', (part) => (complaint += part))
  const { port } = JSON.parse(await firstLine(child)) as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      expect({ exit: await exited, complaint }).toMatchObject({ exit: [0, null] })
    },
  }
}
