/** The command line, called as a person would, and read through its JSON form. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { EstateStatus, MoveStatus, Operation } from '@replatform/control/api-types'
import type { SerializedError } from '@replatform/core/errors'
import { outputOf, Program } from './program.ts'

const attemptsMost = 20

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
    const program = async (...args: string[]) =>
      opened.use(await Program.start({ main, args: [...args, ...places(options)], env: options.env }))
    const worker = await program('worker')
    const isListening = () => access(join(options.folder, 'state', 'control.sock'))
    while (
      !(await isListening().then(
        () => true,
        () => false,
      ))
    )
      await Promise.race([sleep(100), worker.ended])
    const watch = await program('status', '--watch', '--json')
    await watch.waitFor((line) => 'moves' in line)
    return new Replatform(options, watch, opened.move())
  }

  private constructor(options: ReplatformOptions, watch: Program, opened: AsyncDisposableStack) {
    this.#options = options
    this.#watch = watch
    this.#opened = opened
  }

  /** Runs a verb to its end; throws `VerbError` with what it says went wrong. */
  async run(verb: string, ...args: string[]): Promise<Operation> {
    const answer = await askReplatform<Operation & { error?: SerializedError | null }>(this.#options, verb, ...args)
    if (answer.error) throw new VerbError(answer.error)
    return answer
  }

  /** The same for what needs moves that are level at that very moment: asks again while they are a little behind. */
  async runWhenReady(args: readonly [string, ...string[]], { attempts = attemptsMost } = {}): Promise<Operation> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.run(...args)
      } catch (thrown) {
        const isTooEarly = thrown instanceof VerbError && thrown.code === 'cutover.not-ready'
        if (!isTooEarly || attempt >= attempts) throw thrown
      }
    }
  }

  /** Every look at the estate from now on, once a second. */
  onStatus(handler: (status: EstateStatus) => void): void {
    this.#watch.onLine((line) => {
      if ('moves' in line) handler(line as unknown as EstateStatus)
    })
  }

  /**
   * Looks on until every move of these fits, so many times in a row, or until it has taken too long: a busy machine may
   * never be level, and what comes next says so itself. Throws when one pauses.
   */
  async until(
    names: readonly string[],
    fits: (move: MoveStatus) => boolean,
    { looks = 1, withinMs = Number.POSITIVE_INFINITY } = {},
  ): Promise<readonly MoveStatus[]> {
    const deadline = performance.now() + withinMs
    let fitting = 0
    for (;;) {
      const status = (await this.#watch.waitFor((line) => 'moves' in line)) as unknown as EstateStatus
      const moves = status.moves.filter(({ name }) => names.includes(name))
      const paused = moves.find((move) => move.paused)
      if (paused) throw new Error(`The move ${paused.name} paused: ${paused.paused?.reason}`)
      fitting = moves.length > 0 && moves.every(fits) ? fitting + 1 : 0
      if (fitting >= looks || performance.now() > deadline) return moves
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

/** What a verb said went wrong. */
export class VerbError extends Error {
  readonly code: string

  constructor({ code, message }: SerializedError) {
    super(`${code}: ${message}`)
    this.code = code
  }
}

/** One verb, with or without a worker; its document. Throws what it printed where it printed none. */
export async function askReplatform<T>(options: ReplatformOptions, verb: string, ...args: string[]): Promise<T> {
  const { output, errors } = await outputOf({
    main,
    args: [verb, ...args, ...places(options), '--json'],
    env: options.env,
  })
  if (output.trim() === '') throw new Error(errors.trim() || `replatform ${verb} said nothing.`)
  return JSON.parse(output) as T
}

function places({ folder }: ReplatformOptions): string[] {
  return ['--estate', join(folder, 'estate.yaml'), '--state', join(folder, 'state')]
}
