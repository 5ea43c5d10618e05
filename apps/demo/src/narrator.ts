/** Tells a person on standard error what happens; the verdict alone goes to standard output. */
import { colorsFor, type Terminal } from '@replatform/cli/io'
import { formatDuration } from '@replatform/cli/quantities'
import { wrap } from '@replatform/cli/text-cells'
import { createLogUpdate } from 'log-update'
import type { Recorder } from './recorder.ts'
import type { Act } from './script.ts'
import { clock, renderView } from './view.ts'

const drawEveryMs = 250
const plainEveryMs = 10_000

export interface NarratorOptions {
  readonly terminal: Terminal
  readonly env: NodeJS.ProcessEnv
  readonly recorder: Recorder
  readonly acts: readonly Act[]
}

/** On a terminal a panel stays below the lines; elsewhere a line every few seconds says what it would show. */
export class Narrator implements Disposable {
  readonly #options: NarratorOptions
  readonly #live: ReturnType<typeof createLogUpdate> | null
  readonly #timer: NodeJS.Timeout
  #isOver = false

  constructor(options: NarratorOptions) {
    const { terminal, env } = options
    this.#options = options
    const isLive = terminal.isTTY === true && env.TERM !== 'dumb'
    this.#live = isLive ? createLogUpdate(terminal) : null
    this.#timer = setInterval(() => this.#look(), isLive ? drawEveryMs : plainEveryMs)
  }

  /** The next stop is reached. */
  stop(phase: Act['phase'], name: string): void {
    const { acts, recorder, terminal, env } = this.#options
    const found = acts.find((act) => act.phase === phase)?.stops.find((stop) => stop.name === name)
    if (!found) throw new Error(`The script has no stop ${phase} ${name}.`)
    recorder.stop({ phase, name, title: found.title })
    const { bold } = colorsFor(terminal, env, true)
    this.#tell(['', bold(found.title)])
  }

  say(line: string): void {
    const { terminal, env, recorder } = this.#options
    const { dim } = colorsFor(terminal, env, true)
    const [first = '', ...others] = wrap(line, this.#columns - 9)
    this.#tell([`  ${dim(clock(recorder.nowMs))}  ${first}`, ...others.map((text) => `         ${text}`)])
  }

  /** The panel leaves the terminal; lines may still be told. */
  close(): void {
    clearInterval(this.#timer)
    if (this.#isOver) return
    this.#isOver = true
    this.#live?.clear()
    this.#live?.done()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get #columns(): number {
    return Math.max(60, Math.min(this.#options.terminal.columns ?? 100, 160))
  }

  #tell(lines: readonly string[]): void {
    const { terminal } = this.#options
    if (!this.#live || this.#isOver) {
      terminal.write(`${lines.join('\n')}\n`)
      return
    }
    this.#live.persist(lines.join('\n'))
    this.#look()
  }

  #look(): void {
    const { terminal, env, recorder, acts } = this.#options
    if (!this.#live) {
      if (recorder.payments.length > 0) this.say(inOneLine(recorder))
      return
    }
    const size = { columns: Math.max(40, (terminal.columns ?? 80) - 1), rows: terminal.rows ?? 24 }
    this.#live(renderView(recorder, { acts, colors: colorsFor(terminal, env, true), ...size }).join('\n'))
  }
}

function inOneLine({ payments, moves }: Recorder): string {
  const last = payments.at(-1)
  const felt = last ? [`${Math.round(last.perSecond)} payments/s, p99 ${formatDuration(last.p99Ms)}`] : []
  const begun = moves.filter(({ state }) => state !== 'planned')
  const each = begun.map(({ name, state, follow }) => {
    return `${name} ${state}${follow ? ` (${formatDuration(follow.lagMs)})` : ''}`
  })
  return [...felt, ...each].join(' · ')
}

export function thousands(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}
