/** Main programs of the platform as processes, as their users run them. None outlives this process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface ProgramEnd<Line> {
  readonly code: number | null
  /** What it printed. */
  readonly lines: readonly Line[]
  /** The end of what it said on standard error. */
  readonly complaint: string
}

/** Runs a main program of ours, with nothing in its environment but what is told. */
export function start(program: string, options: readonly string[], environment: Record<string, string>): ChildProcess {
  const path = join(import.meta.dirname, '..', program)
  return spawn(process.execPath, [path, ...options], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Waits for its end and tells each line as it comes. */
export async function ended<Line = object>(
  program: ChildProcess,
  told: (line: Line) => void = () => {},
): Promise<ProgramEnd<Line>> {
  const complaint = complaintOf(program)
  const [lines, [code]] = await Promise.all([read<Line>(program, told), once(program, 'exit')])
  return { code, lines, complaint: complaint() }
}

/** Its lines, when it has ended well and said nothing on standard error. */
export async function finished<Line = object>(program: ChildProcess): Promise<readonly Line[]> {
  const { code, lines, complaint } = await ended<Line>(program)
  if (code !== 0 || complaint !== '') throw new Error(`${nameOf(program)} ended with ${code}: ${complaint}`)
  return lines
}

export async function firstLine(program: ChildProcess): Promise<string> {
  if (program.stdout === null) throw new Error('no output')
  const [line] = await once(createInterface({ input: program.stdout }), 'line')
  return String(line)
}

export interface StartedService extends AsyncDisposable {
  readonly url: string
  readonly pid: number
}

/** Starts a service on a port of its choice; it must end well, and without complaints, when it is disposed of. */
export async function startService(
  program: string,
  environment: Record<string, string>,
  options: readonly string[] = [],
): Promise<StartedService> {
  const child = start(program, options, environment)
  const complaint = complaintOf(child)
  const exited = once(child, 'exit')
  const line = await Promise.race([firstLine(child), exited.then(([code]) => `{"code":${code}}`)])
  const { port } = JSON.parse(line) as { port?: number }
  if (port === undefined || child.pid === undefined) throw new Error(`${program} did not start: ${complaint()}`)
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const [code] = await exited
      if (code !== 0 || complaint() !== '') throw new Error(`${program} ended with ${code}: ${complaint()}`)
    },
  }
}

/** Its lines, until it closes its output. */
export async function read<Line>(program: ChildProcess, told: (line: Line) => void = () => {}): Promise<Line[]> {
  if (program.stdout === null) throw new Error('no output')
  const lines: Line[] = []
  for await (const text of createInterface({ input: program.stdout })) {
    const line = JSON.parse(text) as Line
    lines.push(line)
    told(line)
  }
  return lines
}

function complaintOf(program: ChildProcess): () => string {
  let complaint = ''
  program.stderr?.setEncoding('utf8').on('data', (part: string) => {
    complaint = (complaint + part).slice(-8000)
  })
  return () => complaint
}

function nameOf(program: ChildProcess): string {
  return program.spawnargs.slice(1).join(' ')
}
