/** The command line, called as a person would, and read through its JSON form. */
import { spawn } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { EstateStatus, MoveStatus, Operation } from '@replatform/control/api-types'
import type { SerializedError } from '@replatform/core/errors'
import { Program } from './program.ts'

const main = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url))

export interface ReplatformOptions {
  /** Holds estate.yaml; the state directory is made beside it. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
}

export class Replatform implements AsyncDisposable {
  readonly #options: ReplatformOptions
  readonly #opened: AsyncDisposableStack
  readonly #watch: Program

  /** Starts a worker, to which every verb attaches. */
  static async start(options: ReplatformOptions): Promise<Replatform> {
    await using opened = new AsyncDisposableStack()
    const program = (...args: string[]) =>
      opened.use(new Program({ main, args: [...args, ...places(options)], env: options.env }))
    const worker = program('worker')
    const isListening = () => access(join(options.folder, 'state', 'control.sock'))
    while (
      !(await isListening().then(
        () => true,
        () => false,
      ))
    )
      await Promise.race([sleep(100), worker.ended])
    const watch = program('status', '--watch', '--json')
    await watch.waitFor((line) => 'moves' in line)
    return new Replatform(options, watch, opened.move())
  }

  private constructor(options: ReplatformOptions, watch: Program, opened: AsyncDisposableStack) {
    this.#options = options
    this.#watch = watch
    this.#opened = opened
  }

  /** Runs a verb to its end; throws what it says went wrong. */
  run(verb: string, ...args: string[]): Promise<Operation> {
    return this.#json<Operation>([verb, ...args])
  }

  /** Every look at the moves from now on, once a second. */
  onMoves(handler: (moves: readonly MoveStatus[]) => void): void {
    this.#watch.onLine((line) => {
      if ('moves' in line) handler((line as unknown as EstateStatus).moves)
    })
  }

  /** Looks on until every move fits; throws when one pauses. */
  async until(
    fits: (move: MoveStatus) => boolean,
    tell: (moves: readonly MoveStatus[]) => void,
  ): Promise<readonly MoveStatus[]> {
    for (;;) {
      const { moves } = (await this.#watch.waitFor((line) => 'moves' in line)) as unknown as EstateStatus
      tell(moves)
      const paused = moves.find((move) => move.paused)
      if (paused) throw new Error(`The move ${paused.name} paused: ${paused.paused?.reason}`)
      if (moves.length > 0 && moves.every(fits)) return moves
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  async #json<T>(args: readonly string[]): Promise<T> {
    const child = spawn(process.execPath, [main, ...args, ...places(this.#options), '--json'], {
      env: { ...process.env, ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
    const answer = output.trim() === '' ? null : (JSON.parse(output) as T & { error?: SerializedError | null })
    if (!answer) throw new Error(errors.trim() || `replatform ${args[0]} said nothing.`)
    if (answer.error) throw new Error(`${answer.error.code}: ${answer.error.message}`)
    return answer
  }
}

function places({ folder }: ReplatformOptions): string[] {
  return ['--estate', join(folder, 'estate.yaml'), '--state', join(folder, 'state')]
}
