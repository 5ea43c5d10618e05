/**
 * What the embedded control database cannot promise: it does not flush, so a power cut in the middle of a cutover may
 * take along that one had begun, and with it the only one who would open a fenced side again. The intent of each
 * cutover is therefore flushed beside the decisions, and one that the database does not know any more is put back.
 */
import { join } from 'node:path'
import type { ControlRecords } from './control-records.ts'
import type { CutoverRecord } from './cutover-records.ts'
import { type FlushedFiles, flushedFiles } from './flushed-file.ts'

export type CutoverIntent = Omit<CutoverRecord, 'outcome' | 'pauseMs'>

/** A control database that flushes by itself needs none. */
export interface CutoverIntents {
  /** Returns when the intent would survive a power cut; call before the first step. */
  announce(intent: CutoverIntent): Promise<void>
  /** The move has ended: nothing of it may ever be put back. */
  forget(move: string): Promise<void>
}

export const noIntents: CutoverIntents = { announce: async () => {}, forget: async () => {} }

/** The last intent of each move, in a file of the move's name. */
export class FileCutoverIntents implements CutoverIntents {
  readonly #directory: string
  readonly #files: FlushedFiles

  private constructor(directory: string, files: FlushedFiles) {
    this.#directory = directory
    this.#files = files
  }

  static async open(directory: string, files: FlushedFiles = flushedFiles): Promise<FileCutoverIntents> {
    await files.makeDirectory(directory)
    return new FileCutoverIntents(directory, files)
  }

  async announce(intent: CutoverIntent): Promise<void> {
    const temporary = join(this.#directory, `.${intent.id}.tmp`)
    for (const { name } of intent.moves) {
      await this.#files.remove(temporary)
      await this.#files.write(temporary, JSON.stringify(intent))
      await this.#files.rename(temporary, this.#file(name))
    }
    await this.#files.flushDirectory(this.#directory)
  }

  async forget(move: string): Promise<void> {
    await this.#files.remove(this.#file(move))
    await this.#files.flushDirectory(this.#directory)
  }

  /** Puts back what the database has lost; recovery then ends it as the decision says, or aborts it. */
  async restore(cutovers: Pick<ControlRecords['cutovers'], 'find' | 'restore'>): Promise<CutoverIntent[]> {
    const restored: CutoverIntent[] = []
    for (const file of await this.#files.list(this.#directory)) {
      if (!file.endsWith('.json')) continue
      const text = await this.#files.read(join(this.#directory, file))
      if (text === undefined) continue
      // One of an earlier version has no turn.
      const intent = { turn: 0, ...(JSON.parse(text) as Omit<CutoverIntent, 'turn'>) }
      if (await cutovers.find(intent.id)) continue
      await cutovers.restore(intent)
      restored.push(intent)
    }
    return restored
  }

  #file(move: string): string {
    return join(this.#directory, `${move}.json`)
  }
}
