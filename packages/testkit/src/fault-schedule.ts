/** Faults one after the other, at moments that a seed decides, so that a run that failed can be had again. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from './seeded-random.ts'

export interface Fault {
  readonly name: string
  inject(): unknown
  /** Ends the fault; the system has to recover by itself from then on. */
  lift(): unknown
}

export interface FaultScheduleOptions {
  readonly faults: readonly [Fault, ...Fault[]]
  /** That of RIG_SEED, or a new one, unless said. */
  readonly seed?: number
  /** Quiet time before each fault. */
  readonly calmMs?: Span
  readonly faultMs?: Span
}

/** From, to. */
export type Span = readonly [number, number]

export interface PlannedFault {
  readonly name: string
  readonly calmMs: number
  readonly faultMs: number
}

export class FaultSchedule {
  readonly seed: number
  readonly #options: FaultScheduleOptions

  constructor(options: FaultScheduleOptions) {
    this.#options = options
    this.seed = options.seed ?? givenSeed() ?? randomInt(2 ** 31)
  }

  /** The faults of this seed, without end. */
  *plan(): Generator<PlannedFault & { readonly fault: Fault }, never> {
    const { faults, calmMs = [200, 2_000], faultMs = [50, 1_000] } = this.#options
    const random = seededRandom(this.seed)
    const within = ([from, to]: Span): number => Math.round(from + random() * (to - from))
    for (;;) {
      const fault = faults[Math.floor(random() * faults.length)] ?? faults[0]
      yield { name: fault.name, fault, calmMs: within(calmMs), faultMs: within(faultMs) }
    }
  }

  /** Runs until `signal` aborts, prints the seed first, and never leaves a fault behind. Returns what it did. */
  async run(signal: AbortSignal): Promise<PlannedFault[]> {
    console.error(`rig: faults of seed ${this.seed}; RIG_SEED=${this.seed} brings them again`)
    const done: PlannedFault[] = []
    for (const { fault, ...planned } of this.plan()) {
      if (!(await pause(planned.calmMs, signal))) return done
      done.push(planned)
      try {
        await fault.inject()
        await pause(planned.faultMs, signal)
      } finally {
        await fault.lift()
      }
    }
    return done
  }
}

function givenSeed(): number | undefined {
  const given = process.env.RIG_SEED
  return given ? Number(given) : undefined
}

/** Whether it went by without the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal }).catch(() => {})
  return !signal.aborted
}
