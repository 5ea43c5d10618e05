/** Keys that were written on one side and are to be copied to the other, the oldest first, each once. */

/** A key takes about a hundred bytes here. */
const mostKeys = 400_000

export interface DirtyKey {
  readonly db: number
  readonly key: Buffer
}

export class DirtyKeys {
  /** By database and bytes; when each was first written since it was last taken. */
  readonly #since = new Map<string, number>()
  #hasOverflowed = false

  get count(): number {
    return this.#since.size
  }

  /** Milliseconds since 1970 by our clock; null where there is none. */
  get oldestMs(): number | null {
    const [first] = this.#since.values()
    return first ?? null
  }

  /** Whether keys were let go for want of room since this was last asked: everything must be looked at then. */
  takeOverflow(): boolean {
    const had = this.#hasOverflowed
    this.#hasOverflowed = false
    return had
  }

  add(db: number, key: Buffer): void {
    const id = `${db}:${key.toString('latin1')}`
    if (this.#since.has(id)) return
    if (this.#since.size >= mostKeys) this.#hasOverflowed = true
    else this.#since.set(id, Date.now())
  }

  /** They count as not written from here on; a write that comes now adds them again. */
  take(most: number): DirtyKey[] {
    const taken: DirtyKey[] = []
    for (const id of this.#since.keys()) {
      if (taken.length === most) break
      const colon = id.indexOf(':')
      taken.push({ db: Number(id.slice(0, colon)), key: Buffer.from(id.slice(colon + 1), 'latin1') })
      this.#since.delete(id)
    }
    return taken
  }
}
