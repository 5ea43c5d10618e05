import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

const main = fileURLToPath(new URL('../main.ts', import.meta.url))

/** What a command said and how it ended. */
export interface CliResult {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface CliCommand {
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
}

/** The command line as people and scripts meet it: a process of its own. */
export class CliProcess implements AsyncDisposable {
  readonly ended: Promise<CliResult>
  out = ''
  err = ''
  readonly #child: ChildProcess

  constructor({ args, env, cwd }: CliCommand) {
    // A process group of its own, so that a signal that a test sends reaches what a terminal would reach, and not us.
    this.#child = spawn(process.execPath, [main, ...args], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += stripVTControlCharacters(text)
    })
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code) => resolve({ code, out: this.out, err: this.err }))
    })
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** As Ctrl-C does it: the signal goes to the whole process group. */
  interrupt(): void {
    process.kill(-this.pid, 'SIGINT')
  }

  /** Resolves when it is gone. Its movers see that and end by themselves. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) this.#child.kill('SIGTERM')
    const harder = setTimeout(() => this.#child.kill('SIGKILL'), 20_000)
    await this.ended
    clearTimeout(harder)
  }
}
