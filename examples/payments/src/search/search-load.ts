import { setTimeout as delay } from 'node:timers/promises'
import { InFlight } from '../in-flight.ts'
import type { JournalWriter } from '../journal.ts'
import type { LoadClock } from '../load-clock.ts'
import { roundMs } from '../load-statistics.ts'
import type { OperationStatistics } from '../operation-statistics.ts'
import type { PatientClient } from '../patient-client.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { SearchLine } from './search-journal.ts'

export interface SearchLoadOptions {
  readonly client: PatientClient
  readonly journal: JournalWriter<SearchLine>
  readonly clock: LoadClock
  readonly random: SeededRandom
  readonly statistics: OperationStatistics
  /** How soon an acknowledged payment must be found. */
  readonly withinMs: number
}

/** Of a hundred who have paid. */
const share = 0.02
const everyMs = 250

/** Customers who look for what they have just paid, until they find it. */
export class SearchLoad {
  readonly #options: SearchLoadOptions
  readonly #seeking = new InFlight(200)

  constructor(options: SearchLoadOptions) {
    this.#options = options
  }

  /** Called for every payment when it is acknowledged; some are then looked for. */
  acknowledged(key: string): void {
    if (this.#options.random.chance(share)) this.#seeking.launch(() => this.#seek(key))
  }

  /** Resolves when everybody has found theirs or has given up. */
  async ended(): Promise<void> {
    await this.#seeking.ended()
  }

  async #seek(key: string): Promise<void> {
    const { client, clock, journal, statistics, withinMs } = this.#options
    const beganMs = clock.nowMs()
    const path = `/v1/transactions/${encodeURIComponent(key)}`
    for (;;) {
      const askedMs = clock.nowMs()
      const reply = await client.askOnce({ method: 'GET', path })
      const foundMs = clock.nowMs() - beganMs
      const found = reply.result === 'answered' && reply.status === 200
      // Late is what was asked for in time and not there: how long the answer took says nothing of the index.
      if (found || askedMs - beganMs > withinMs) {
        journal.write({ t: 'sought', key, foundMs: found ? roundMs(foundMs) : null, ms: clock.ms })
        statistics.ended('find', found ? 'success' : 'refused', foundMs)
        return
      }
      await delay(everyMs)
    }
  }
}
