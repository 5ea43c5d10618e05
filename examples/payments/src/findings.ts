/** Collects what checks find, in bounded memory. `meanings` names what can be wrong, gravest first. */
export class Findings<Name extends string> {
  readonly counts: Record<Name, number>
  readonly samples: Partial<Record<Name, string[]>> = {}
  readonly #names: readonly Name[]

  constructor(meanings: Readonly<Record<Name, string>>) {
    this.#names = Object.keys(meanings) as Name[]
    this.counts = Object.fromEntries(this.#names.map((name) => [name, 0])) as Record<Name, number>
  }

  found(name: Name, key: string): void {
    this.add(name, 1, [key])
  }

  /** So many, of which up to ten are named. */
  add(name: Name, count: number, keys: readonly string[]): void {
    if (count === 0) return
    this.counts[name] += count
    this.samples[name] = [...(this.samples[name] ?? []), ...keys].slice(0, 10)
  }

  gravest(): Name | undefined {
    return this.#names.find((name) => this.counts[name] > 0)
  }
}
