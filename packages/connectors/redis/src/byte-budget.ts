/** How many bytes several readers may hold together. Who asks first is served first; more than there is counts as all. */
export class ByteBudget {
  readonly #most: number
  #left: number
  readonly #waiting: { readonly bytes: number; readonly serve: () => void }[] = []

  constructor(most: number) {
    this.#most = most
    this.#left = most
  }

  /** Holds them while the work goes on. */
  async hold<T>(wanted: number, work: () => Promise<T>): Promise<T> {
    const bytes = Math.min(wanted, this.#most)
    if (this.#waiting.length > 0 || bytes > this.#left) {
      await new Promise<void>((serve) => this.#waiting.push({ bytes, serve }))
    } else {
      this.#left -= bytes
    }
    try {
      return await work()
    } finally {
      this.#left += bytes
      this.#serve()
    }
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next && next.bytes <= this.#left; next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#left -= next.bytes
      next.serve()
    }
  }
}
