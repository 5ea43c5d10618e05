/** Runs pg_dump and pg_restore. Addresses go in the environment: an argument list is everybody's to read. */
import { spawn } from 'node:child_process'
import { ReplatformError } from '@replatform/core/errors'

export type Tool = 'pg_dump' | 'pg_restore'

export interface ToolRun {
  readonly tool: Tool
  /** Programs named in the estate; others are looked up on PATH. */
  readonly tools: Readonly<Record<string, string>>
  readonly args: readonly string[]
  readonly url: string
  /** The move whose fence must let the program pass. */
  readonly move: string
  readonly signal?: AbortSignal | undefined
}

/** Resolves with standard output; rejects with `tool.missing` or `tool.failed` and the last lines it wrote. */
export async function runTool(run: ToolRun): Promise<string> {
  const program = run.tools[run.tool] ?? run.tool
  const child = spawn(program, run.args, {
    env: {
      ...process.env,
      ...connectionEnvironment(run.url),
      PGOPTIONS: `-c replatform.mover=${run.move}`,
      LC_ALL: 'C',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(run.signal ? { signal: run.signal } : {}),
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4_000)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) => reject(missing(run.tool, program, cause)))
    child.once('close', resolve)
  })
  if (code !== 0) throw failed(run.tool, code, errors)
  return output
}

/** Major version of the program that would run, or undefined where there is none. */
export async function toolMajor(tool: Tool, tools: Readonly<Record<string, string>>): Promise<number | undefined> {
  const child = spawn(tools[tool] ?? tool, ['--version'], { stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const started = await new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false))
    child.once('close', () => resolve(true))
  })
  const match = started ? /\(PostgreSQL\) (\d+)/.exec(output) : null
  return match ? Number(match[1]) : undefined
}

function connectionEnvironment(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url)
  const fromUrl: Record<string, string> = {
    PGHOST: hostname.replace(/^\[|\]$/g, ''),
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
  }
  for (const name of ['sslmode', 'sslrootcert', 'sslcert', 'sslkey']) {
    const value = searchParams.get(name)
    if (value) fromUrl[`PG${name.toUpperCase()}`] = value
  }
  return fromUrl
}

function missing(tool: Tool, program: string, cause: unknown): ReplatformError {
  return new ReplatformError('tool.missing', {
    message: `${tool} cannot be run as "${program}".`,
    next: `Install Debian's postgresql-client, or name the program under tools.${tool} in the estate file.`,
    cause,
  })
}

/** Only lines that the program itself wrote: those with DETAIL, CONTEXT or a statement may quote values. */
function failed(tool: Tool, code: number | null, errors: string): ReplatformError {
  if (/No space left on device/.test(errors)) {
    return new ReplatformError('target.full', { message: `${tool} found no room left on the disk.` })
  }
  const lines = errors.split('\n').filter((line) => line.startsWith(`${tool}: `) && !/Command was:|detail:/i.test(line))
  return new ReplatformError('tool.failed', {
    message: `${tool} ended with ${code ?? 'a signal'}: ${lines.slice(-3).join(' ') || 'it said nothing'}`,
  })
}
