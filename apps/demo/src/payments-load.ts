import { paymentsMain } from './payments-main.ts'
import { Program, runProgram } from './program.ts'

export interface LoadOptions {
  readonly gateway: string
  readonly rate: number
  readonly accounts: number
  readonly seed: number
  readonly journal: string
}

export interface LoadLine {
  readonly requests: number
  readonly acknowledged: number
  readonly refused: number
  readonly unknown: number
  readonly longestGapMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface FeltPause {
  readonly longestGapMs: number
  readonly p99LatencyMs: number
  readonly maxLatencyMs: number
  readonly acknowledged: number
}

/** How often it says how it goes. */
const progressMs = 500

/** Payments through the gateway, until they are stopped. */
export class PaymentsLoad implements AsyncDisposable {
  readonly #journal: string
  readonly #program: Program

  static async start({ gateway, rate, accounts, seed, journal }: LoadOptions): Promise<PaymentsLoad> {
    const figures = { 'url': gateway, rate, accounts, seed, journal, 'progress-ms': progressMs }
    const args = Object.entries(figures).flatMap(([name, value]) => [`--${name}`, String(value)])
    const program = await Program.start({
      main: paymentsMain('load-main'),
      args: [...args, '--until-signal', '--settle'],
      env: {},
    })
    try {
      await program.waitFor((line) => line.type === 'progress' && Number(line.acknowledged) > 0)
    } catch (error) {
      await program[Symbol.asyncDispose]()
      throw error
    }
    return new PaymentsLoad(journal, program)
  }

  private constructor(journal: string, program: Program) {
    this.#journal = journal
    this.#program = program
  }

  /** Every line that it prints from now on. */
  onLine(handler: (line: Readonly<Record<string, unknown>>) => void): void {
    this.#program.onLine(handler)
  }

  /** Ends it: what is unknown is settled by asking again with the same key. Its summary. */
  async stop(): Promise<LoadLine> {
    await this.#program.stop()
    return this.#program.lastLine as unknown as LoadLine
  }

  /** What payments felt between two instants. */
  feltWithin(from: string, to: string): Promise<FeltPause> {
    const args = ['--journal', this.#journal, '--from', from, '--to', to]
    return runProgram({ main: paymentsMain('pause-main'), args, env: {} })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]()
  }
}
