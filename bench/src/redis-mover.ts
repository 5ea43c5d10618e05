import { type ChildProcess, fork } from 'node:child_process'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RedisServer } from '@replatform/testkit/redis-server'
import type { BenchmarkOptions } from './measure.ts'
import type { MoverOrder, MoverWord } from './redis-mover-main.ts'

export const moverUser = { name: 'mover', password: 'mover-secret' }

/** The mover under test, seen from outside. */
export class BenchedMover implements AsyncDisposable {
  /** Of the source's stream, on the target. */
  offset = 0
  rssMiB = 0
  readonly #child: ChildProcess
  #seconds: number | null = null
  #exit: string | null = null

  constructor(source: RedisServer, target: RedisServer, { profiles }: Pick<BenchmarkOptions, 'profiles'> = {}) {
    const url = (server: RedisServer) => server.url(moverUser.name, moverUser.password)
    this.#child = fork(new URL('./redis-mover-main.ts', import.meta.url), {
      env: { ...process.env, BENCH_SOURCE_URL: url(source), BENCH_TARGET_URL: url(target) },
      execArgv: ['--max-old-space-size=160', ...(profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : [])],
    })
    this.#child.on('message', (word: MoverWord) => this.#take(word))
    this.#child.once('exit', (code, signal) => {
      this.#exit = String(code ?? signal)
    })
  }

  tell(order: MoverOrder): void {
    this.#child.send(order)
  }

  /** Loads everything and goes on following; gives the seconds of the load. */
  async loadAndFollow(): Promise<number> {
    this.tell('load')
    await this.#until('the load has ended', () => this.#seconds !== null)
    this.tell('follow')
    await this.#until('it follows', () => this.offset > 0)
    return this.#seconds as number
  }

  reached(offset: number): Promise<unknown> {
    return this.#until('the target has what was written', () => this.offset >= offset)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exit !== null) return
    this.tell('end')
    await this.#until('it has ended', () => this.#exit !== null).catch(() => this.#child.kill('SIGKILL'))
  }

  async #until(what: string, condition: () => boolean): Promise<void> {
    await pollUntil(what, () => condition() || this.#exit !== null, { withinMs: 600_000, everyMs: 2 })
    if (!condition()) throw new Error(`The mover ended with ${this.#exit} before ${what}.`)
  }

  #take(word: MoverWord): void {
    if (word.said === 'loaded') this.#seconds = word.seconds
    else {
      this.offset = word.offset
      this.rssMiB = word.rssMiB
    }
  }
}
