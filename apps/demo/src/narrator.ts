/** Tells a person on standard error what happens; the verdict alone goes to standard output. */
import type { MoveStatus } from '@replatform/control/api-types'

const isTerminal = process.stderr.isTTY === true

/** As wide as the clock before a line. */
const indent = ' '.repeat(11)

export class Narrator {
  readonly #onChapter: (title: string) => void
  readonly #startedAt = performance.now()
  #chapter = 0
  #live = ''
  #toldAt = 0

  constructor(onChapter: (title: string) => void = () => {}) {
    this.#onChapter = onChapter
  }

  chapter(title: string): void {
    this.#onChapter(title)
    this.#clear()
    this.#chapter += 1
    process.stderr.write(`\n${bold(`${this.#chapter}. ${title}`)}\n`)
  }

  say(line: string): void {
    this.#clear()
    const [first = '', ...others] = wrap(line, columns() - indent.length)
    process.stderr.write(`   ${dim(this.#clock())} ${first}\n`)
    for (const other of others) process.stderr.write(`${indent}${other}\n`)
  }

  /** Replaces the line before on a terminal; elsewhere a line every few seconds. */
  progress(line: string): void {
    if (!isTerminal) {
      if (performance.now() - this.#toldAt < 3_000) return
      this.#toldAt = performance.now()
      this.say(line)
      return
    }
    this.#clear()
    this.#live = `   ${dim(this.#clock())} ${line}`.slice(0, columns() + 8)
    process.stderr.write(this.#live)
  }

  #clock(): string {
    const seconds = (performance.now() - this.#startedAt) / 1_000
    return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${(seconds % 60).toFixed(1).padStart(4, '0')}`
  }

  #clear(): void {
    if (this.#live !== '') process.stderr.write('\r\u001b[2K')
    this.#live = ''
  }
}

function columns(): number {
  return Math.min(process.stderr.columns ?? 80, 100)
}

/** Breaks a line between words. */
function wrap(line: string, width: number): string[] {
  const lines: string[] = []
  let current = ''
  for (const word of line.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > width) {
      lines.push(current)
      current = word
    } else {
      current = current === '' ? word : `${current} ${word}`
    }
  }
  return [...lines, current]
}

export function describeMoves(moves: readonly MoveStatus[]): string {
  return moves.map((move) => `${move.name} ${describeMove(move)}`).join('; ')
}

function describeMove(move: MoveStatus): string {
  if (move.state === 'loading' && move.load) {
    const sum = (pick: (group: { loaded: { rows: number; bytes: number } }) => number) =>
      move.load?.groups.reduce((total, group) => total + pick(group), 0) ?? 0
    return `${move.state}: ${thousands(sum((g) => g.loaded.rows))} rows, ${megabytes(sum((g) => g.loaded.bytes))}${move.step ? `, ${move.step}` : ''}`
  }
  if (move.follow)
    return `${move.state}: lag ${move.follow.lagMs} ms, ${thousands(move.follow.rows)} changed rows applied`
  return move.step ? `${move.state}: ${move.step}` : move.state
}

export function thousands(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}

export function bold(text: string): string {
  return paint(text, '1')
}

export function dim(text: string): string {
  return paint(text, '2')
}

function paint(text: string, code: string): string {
  return isTerminal && !process.env.NO_COLOR ? `\u001b[${code}m${text}\u001b[0m` : text
}
