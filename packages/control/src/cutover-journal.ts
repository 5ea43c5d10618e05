import type { ReplatformError } from '@replatform/core/errors'
import type { Clock } from '@replatform/engine/clock'
import type { StepJournal } from '@replatform/engine/cutover'
import type { CutoverStep } from '@replatform/engine/cutover-steps'
import type { ControlRecords } from './control-records.ts'
import type { CutoverRecord } from './cutover-records.ts'
import { isoNow } from './services.ts'

/**
 * Writes the steps of a cutover behind its back, in their order: a slow control database must not lengthen the write
 * pause, and no step depends on what is written here.
 */
export class CutoverJournal implements StepJournal {
  readonly #journal: ControlRecords['journal']
  readonly #clock: Clock
  readonly #cutover: CutoverRecord
  readonly #running = new Map<string, readonly number[]>()
  #written: Promise<void> = Promise.resolve()
  #failure: unknown

  constructor(journal: ControlRecords['journal'], clock: Clock, cutover: CutoverRecord) {
    this.#journal = journal
    this.#clock = clock
    this.#cutover = cutover
  }

  started({ name, description }: CutoverStep): void {
    const at = isoNow(this.#clock)
    this.#write(async () => {
      const { id, moves } = this.#cutover
      const entries = moves.map((move) =>
        this.#journal.started({ move: move.name, operation: id, name, description }, at),
      )
      this.#running.set(name, await Promise.all(entries))
    })
  }

  finished({ name }: CutoverStep, ms: number): void {
    this.#write(() => this.#finish(name, ms, null))
  }

  failed({ name }: CutoverStep, error: ReplatformError): void {
    this.#write(() => this.#finish(name, 0, error))
  }

  /** Waits until everything is written; what could not be written is returned for a log. */
  async flush(): Promise<unknown> {
    await this.#written
    return this.#failure
  }

  async #finish(name: string, ms: number, error: ReplatformError | null): Promise<void> {
    for (const id of this.#running.get(name) ?? []) await this.#journal.finished(id, ms, error?.code ?? null)
  }

  #write(act: () => Promise<void>): void {
    this.#written = this.#written.then(act).catch((thrown) => {
      this.#failure = thrown
    })
  }
}
