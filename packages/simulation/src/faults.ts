import type { Random } from './random.ts'

/** Everything that can go wrong here; a report counts each by its name. */
export const faultNames = [
  'message slow',
  'request lost',
  'request late',
  'answer lost',
  'write failed',
  'torn write',
  'flush failed',
  'name lost',
  'process killed',
  'process suspended',
  'server down',
  'control database down',
  'worker stopped',
  'pooler restarted',
  'power cut',
  'row lost',
  'claim lost',
  'wake-up lost',
  'control database lost its end',
  'asked twice',
] as const
export type FaultName = (typeof faultNames)[number]

/** How often which fault strikes, drawn anew for each simulation, so that calm ones and storms both occur. */
export class Faults {
  readonly counts = new Map<FaultName, number>()
  readonly #random: Random
  readonly #rates: { readonly slow: number; readonly loss: number; readonly storage: number }
  /** Once it is over the world heals, and must come to a good end. */
  isOver = false

  constructor(random: Random) {
    this.#random = random
    const storm = random.pick([0, 0.2, 1, 3])
    this.#rates = { slow: 0.01 * storm, loss: 0.006 * storm, storage: 0.01 * storm }
  }

  count(fault: FaultName): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1)
  }

  isSlow(): boolean {
    return !this.isOver && this.#random.chance(this.#rates.slow)
  }

  isLost(): boolean {
    return !this.isOver && this.#random.chance(this.#rates.loss)
  }

  isFailedWrite(): boolean {
    return !this.isOver && this.#random.chance(this.#rates.storage)
  }
}
