/**
 * The keys that were written since a comparison began, so that the next one has only those to read. Kept in this
 * process: when they are lost, or too many, everything counts as changed.
 */

const mostKeys = 400_000

export class ChangedKeys {
  #keys: Map<number, Set<string>> | null = null
  #count = 0

  /** From here on; what was written before is forgotten. */
  begin(): void {
    this.#keys = new Map()
    this.#count = 0
  }

  /** Everything counts as changed until the next `begin`. */
  giveUp(): void {
    this.#keys = null
  }

  /** Whether it is of use to add any. */
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
    if (this.#count > mostKeys) this.giveUp()
  }

  /** Null where it is not known what changed. */
  list(): { readonly db: number; readonly keys: readonly Buffer[] }[] | null {
    if (!this.#keys) return null
    return [...this.#keys].map(([db, keys]) => ({ db, keys: [...keys].map((key) => Buffer.from(key, 'latin1')) }))
  }
}
