import type { LoadStatus } from '@replatform/control/api-types'
import { RateMeter } from '@replatform/control/rate-meter'

/** How fast each table loads, from one status to the next: the worker knows only the rate of all together. */
export class TableRates {
  readonly #meters = new Map<string, RateMeter>()

  observe(load: LoadStatus, atMs: number): void {
    for (const { name, loaded } of load.groups) {
      const meter = this.#meters.get(name) ?? new RateMeter()
      meter.observe(loaded.bytes, atMs)
      this.#meters.set(name, meter)
    }
  }

  /** Bytes per second; 0 while unknown. */
  of(table: string): number {
    return this.#meters.get(table)?.perSecond ?? 0
  }
}
