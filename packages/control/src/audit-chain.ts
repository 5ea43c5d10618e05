/**
 * The audit log is a chain: each entry holds the hash of the one before, and its own hash covers that, its number and all
 * that it says. So nobody can change, take out, add or reorder an entry without making all later ones anew, and the
 * newest hash stands in a file of its own as well.
 */
import { createHash } from 'node:crypto'
import type { AuditEntry, AuditProblem, AuditVerification } from './api-types.ts'

/** An entry as it stands in the chain. */
export interface ChainedEntry extends Omit<AuditEntry, 'id'> {
  /** From 1 on, without gaps, within an estate. */
  readonly number: number
  readonly previous: string
  readonly hash: string
}

export interface AuditHead {
  readonly number: number
  readonly hash: string
}

/** What the first entry names as the one before. */
export const chainBeginning = '0'.repeat(64)

export function hashOf(estate: string, entry: Omit<ChainedEntry, 'hash'>): string {
  const { previous, number, at, actor, origin, verb, move, outcome, detail } = entry
  const text = JSON.stringify([previous, number, estate, at, actor, origin, verb, move, outcome, detail])
  return createHash('sha256').update(text).digest('hex')
}

/** Enough to see what happened; a log that was made anew would fill memory with them. */
const mostProblems = 100

/** Reads a chain from its first entry on and finds what is wrong with it. */
export class ChainReader {
  readonly #estate: string
  readonly #anchor: AuditHead | null
  readonly #problems: AuditProblem[] = []
  readonly #altered: ChainedEntry[] = []
  #count = 0
  #last: AuditHead = { number: 0, hash: chainBeginning }
  #atAnchor: string | null = null

  /** `anchor`: the newest entry that was flushed beside the database. */
  constructor(estate: string, anchor: AuditHead | null) {
    this.#estate = estate
    this.#anchor = anchor
  }

  /** In the order of their numbers. */
  take(entry: ChainedEntry): void {
    const { number, previous, hash } = entry
    const isGap = number > this.#last.number + 1
    if (isGap) this.#missing(this.#last.number + 1, number - 1, 'taken out, or lost with the power')
    const follows = isGap || previous === this.#last.hash
    if (!follows || hashOf(this.#estate, entry) !== hash) this.#alter(entry)
    if (number === this.#anchor?.number) this.#atAnchor = hash
    this.#count += 1
    this.#last = { number, hash }
  }

  end(unchained: number): AuditVerification {
    for (const entry of this.#altered) this.#add(this.#judge(entry))
    this.#checkAnchor()
    const problems = this.#problems.toSorted((a, b) => a.number - b.number)
    const head = this.#count === 0 ? null : this.#last
    return { intact: problems.length === 0, entries: this.#count, unchained, head, anchor: this.#anchor, problems }
  }

  /** An entry that is whole under another number, or after another one, was moved rather than changed. */
  #judge(entry: ChainedEntry): AuditProblem {
    const { number } = entry
    const isOf = (other: number) => hashOf(this.#estate, { ...entry, number: other }) === entry.hash
    const home = isOf(number) ? number : this.#altered.find((other) => isOf(other.number))?.number
    if (home === undefined)
      return { kind: 'changed', number, detail: `Entry ${number} says something else than was recorded.` }
    const detail =
      home === number
        ? `Entry ${number} does not follow the one before it: that was changed, or one stood between them.`
        : `Entry ${home} stands at ${number}.`
    return { kind: 'reordered', number, detail }
  }

  #checkAnchor(): void {
    const anchor = this.#anchor
    if (!anchor) return
    if (anchor.number > this.#last.number) {
      this.#missing(this.#last.number + 1, anchor.number, 'cut off at the end, or lost with the power')
      return
    }
    if (this.#atAnchor === anchor.hash || this.#problems.some(({ number }) => number <= anchor.number)) return
    const detail = `The chain was made anew: entry ${anchor.number} is not the one whose hash was flushed beside it.`
    this.#add({ kind: 'changed', number: anchor.number, detail })
  }

  #alter(entry: ChainedEntry): void {
    if (this.#altered.length < mostProblems) this.#altered.push(entry)
  }

  #missing(from: number, to: number, how: string): void {
    const what = from === to ? `Entry ${from} was` : `Entries ${from} to ${to} were`
    this.#add({ kind: 'missing', number: from, detail: `${what} ${how}.` })
  }

  #add(problem: AuditProblem): void {
    if (this.#problems.length < mostProblems) this.#problems.push(problem)
  }
}
