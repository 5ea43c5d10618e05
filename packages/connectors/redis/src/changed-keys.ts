/**
 * The keys that were written since a comparison began, so that the next one has only those to read. Kept in this
 * process: when they are lost, or too many, everything counts as changed.
 */

const mostKeys = 400_000

/** Is told what is written. */
export interface KeyRecorder {
  /** Whether it is of use to add any. */
  readonly isListening: boolean
  add(db: number, key: Buffer): void
  /** Everything counts as changed until it begins anew. */
  giveUp(): void
}

export class ChangedKeys implements KeyRecorder {
  readonly #most: number
  #keys: Map<number, Set<string>> | null = null
  #count = 0

  constructor(most = mostKeys) {
    this.#most = most
  }

  /** From here on; what was written before is forgotten. */
  begin(): void {
    this.#keys = new Map()
    this.#count = 0
  }

  giveUp(): void {
    this.#keys = null
  }

  get isListening(): boolean {
    return this.#keys !== null
  }

  add(db: number, key: Buffer): void {
    if (!this.#keys) return
    const known = this.#keys.get(db) ?? new Set()
    this.#keys.set(db, known)
    const before = known.size
    known.add(key.toString('latin1'))
    this.#count += known.size - before
    if (this.#count > this.#most) this.giveUp()
  }

  /** Null where it is not known what changed. */
  list(): { readonly db: number; readonly keys: readonly Buffer[] }[] | null {
    if (!this.#keys) return null
    return [...this.#keys].map(([db, keys]) => ({ db, keys: [...keys].map((key) => Buffer.from(key, 'latin1')) }))
  }
}

/** Passes on to each what it is told. */
export class KeyRecorders implements KeyRecorder {
  readonly #recorders: readonly KeyRecorder[]

  constructor(recorders: readonly KeyRecorder[]) {
    this.#recorders = recorders
  }

  get isListening(): boolean {
    // Asked for every command.
    for (const recorder of this.#recorders) if (recorder.isListening) return true
    return false
  }

  add(db: number, key: Buffer): void {
    for (const recorder of this.#recorders) recorder.add(db, key)
  }

  giveUp(): void {
    for (const recorder of this.#recorders) recorder.giveUp()
  }
}
