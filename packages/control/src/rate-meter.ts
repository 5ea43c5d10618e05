export interface RateMeterOptions {
  /** Whether the total may also fall. Otherwise a fall means that a new process counts from zero. */
  readonly signed?: boolean
  readonly smoothingMs?: number
}

/** Smooths a total into its change a second; what is much older than the smoothing time hardly counts any more. */
export class RateMeter {
  readonly #signed: boolean
  readonly #smoothingMs: number
  #last: { readonly total: number; readonly atMs: number } | undefined
  #perSecond = 0

  constructor({ signed = false, smoothingMs = 5_000 }: RateMeterOptions = {}) {
    this.#signed = signed
    this.#smoothingMs = smoothingMs
  }

  get perSecond(): number {
    return this.#perSecond
  }

  /** `atMs` by a clock that only grows. */
  observe(total: number, atMs: number): void {
    const last = this.#last
    if (last && atMs <= last.atMs) return
    this.#last = { total, atMs }
    if (!last || (total < last.total && !this.#signed)) return
    const elapsedMs = atMs - last.atMs
    const current = ((total - last.total) / elapsedMs) * 1_000
    const weight = 1 - Math.exp(-elapsedMs / this.#smoothingMs)
    this.#perSecond += (current - this.#perSecond) * weight
  }
}
