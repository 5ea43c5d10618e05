/** Programs that the demo runs as their users would: as processes of their own, told apart by what they print. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { createTempFolder, type TempFolder } from '@replatform/testkit/temp-folder'

/** In order until then; nothing may keep the demo from ending. */
const endWithinMs = 10_000

export interface ProgramOptions {
  /** Path of a TypeScript file. */
  readonly main: string
  readonly args: readonly string[]
  /** Over this process's own; addresses and passwords come this way. */
  readonly env: Readonly<Record<string, string>>
}

type Line = Readonly<Record<string, unknown>>

/**
 * A running program whose standard output is lines of JSON. Ended with SIGTERM when it is disposed of, and also when we
 * die: nothing of the demo stays behind, however it ends.
 */
export class Program implements AsyncDisposable {
  /** Rejects when the program ends with an exit code that is not 0. */
  readonly ended: Promise<void>
  lastLine: Line = {}
  readonly #child: ChildProcess
  readonly #guard: TempFolder
  readonly #handlers = new Set<(line: Line) => void>()
  #errors = ''

  static async start(options: ProgramOptions): Promise<Program> {
    return new Program(options, await createTempFolder('replatform-demo-program'))
  }

  private constructor(options: ProgramOptions, guard: TempFolder) {
    this.#guard = guard
    this.#child = launch(options)
    guard.guard(this.#child.pid)
    const { main } = options
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2_000)
    })
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', (text) => this.#line(text))
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        if (code === 0) resolve()
        else reject(new Error(`${main} ended with ${code ?? signal}: ${this.#errors.trim()}`))
      })
    })
    this.ended.catch(() => {})
  }

  /** The first line from now on that fits; rejects when the program ends before. */
  async waitFor(fits: (line: Line) => boolean): Promise<Line> {
    const found = new Promise<Line>((resolve) => {
      const handler = (line: Line) => {
        if (!fits(line)) return
        this.#handlers.delete(handler)
        resolve(line)
      }
      this.#handlers.add(handler)
    })
    const tooEarly = this.ended.then(() =>
      Promise.reject(new Error('The program ended before it said what was awaited.')),
    )
    return Promise.race([found, tooEarly])
  }

  /** Every line from now on. */
  onLine(handler: (line: Line) => void): void {
    this.#handlers.add(handler)
  }

  /** Asks it to end and waits until it has. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM')
    const harder = setTimeout(() => this.#child.kill('SIGKILL'), endWithinMs)
    await this.ended.catch(() => {})
    clearTimeout(harder)
    await this.#guard[Symbol.asyncDispose]()
  }

  #line(text: string): void {
    let line: Line
    try {
      line = JSON.parse(text) as Line
    } catch {
      return
    }
    this.lastLine = line
    for (const handler of this.#handlers) handler(line)
  }
}

/** Runs a program to its end and returns the last line that it printed, whatever its exit code. */
export async function runProgram<T>(options: ProgramOptions): Promise<T> {
  await using program = await Program.start(options)
  const failure = await program.ended.then(
    () => null,
    (error: Error) => error,
  )
  if (failure && Object.keys(program.lastLine).length === 0) throw failure
  return program.lastLine as T
}

/** Runs a program to its end and returns all that it printed, whatever its exit code. */
export async function outputOf(options: ProgramOptions): Promise<{ readonly output: string; readonly errors: string }> {
  await using guard = await createTempFolder('replatform-demo-program')
  const child = launch(options)
  guard.guard(child.pid)
  const [output, errors] = await Promise.all([child.stdout, child.stderr].map((stream) => (stream ? text(stream) : '')))
  return { output: output ?? '', errors: errors ?? '' }
}

function launch({ main, args, env }: ProgramOptions): ChildProcess {
  return spawn(process.execPath, [main, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C is for the demo, which ends its programs in their order.
    detached: true,
  })
}
