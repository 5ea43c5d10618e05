/**
 * The journal of a load run: one JSON object a line, only ever appended. A request is written before it is sent and its
 * outcome when it is known, so that after a kill at any instant every payment that can have happened stands here.
 *
 * Times are milliseconds since the start of the run, by a clock that never jumps; the run's own line ties them to the
 * wall clock.
 */
import { closeSync, createReadStream, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

export type Outcome = 'success' | 'refused' | 'unknown'
export type PaymentKind = 'top-up' | 'transfer' | 'hold' | 'capture' | 'release'

export interface RunLine {
  readonly t: 'run'
  readonly run: string
  /** Wall clock at millisecond 0, ISO 8601. */
  readonly at: string
  readonly seed: number
  readonly rate: number
}

export interface AskLine {
  readonly t: 'ask'
  readonly key: string
  readonly kind: PaymentKind
  /** Null stands for a house account: funding for top-ups, escrow for holds and what closes them. */
  readonly from: number | null
  readonly to: number | null
  /** Whole dong. */
  readonly amount: number
  readonly ms: number
}

export interface EndLine {
  readonly t: 'end'
  readonly key: string
  readonly outcome: Outcome
  /** SHA-256 of the answer's bytes, where the wallet has promised to repeat them. */
  readonly answer?: string
  readonly ms: number
  /** Since the moment the payment was due; missing for one that was settled afterwards. */
  readonly tookMs?: number
}

/** A repeated request got another answer than the first: a broken promise, whatever the ledger says. */
export interface DiffersLine {
  readonly t: 'differs'
  readonly key: string
  readonly ms: number
}

export type JournalLine = RunLine | AskLine | EndLine | DiffersLine

/**
 * Writes synchronously: when `write` returns the line is with the operating system and survives the process, though
 * not a power cut.
 */
export class JournalWriter<Line extends { readonly t: string } = JournalLine> {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'a+', 0o600)
    if (endsInMidLine(this.#file)) this.#append('\n')
  }

  write(line: Line): void {
    this.#append(`${JSON.stringify(line)}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }

  #append(text: string): void {
    const bytes = Buffer.from(text)
    let written = 0
    while (written < bytes.length) written += writeSync(this.#file, bytes, written)
  }
}

/** Reads line by line in bounded memory. A torn line is accepted only where a run was killed: at the end of one. */
export async function* readJournal<Line extends { readonly t: string } = JournalLine>(
  path: string,
): AsyncGenerator<Line> {
  let torn = 0
  let number = 0
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++
    const line = parseLine<Line>(text)
    if (line === undefined) torn = number
    else {
      if (torn !== 0 && line.t !== 'run') throw new Error(`line ${torn} of the journal cannot be read`)
      torn = 0
      yield line
    }
  }
}

function parseLine<Line>(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 't' in value ? (value as Line) : undefined
  } catch {
    return undefined
  }
}

function endsInMidLine(file: number): boolean {
  const { size } = fstatSync(file)
  if (size === 0) return false
  const last = Buffer.alloc(1)
  readSync(file, last, 0, 1, size - 1)
  return last.toString() !== '\n'
}
