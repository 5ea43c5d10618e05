/**
 * What the embedded control database cannot promise: it does not flush, so a power cut in the middle of a cutover may
 * take along that one had begun, and with it the only one who would open a fenced side again. The intent of each
 * cutover is therefore flushed beside the decisions, and one that the database does not know any more is put back.
 */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CutoverRecord, CutoverRecords } from './cutover-records.ts'
import { flushDirectory, writeFlushed } from './flushed-file.ts'

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

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async open(directory: string): Promise<FileCutoverIntents> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await flushDirectory(join(directory, '..'))
    return new FileCutoverIntents(directory)
  }

  async announce(intent: CutoverIntent): Promise<void> {
    const temporary = join(this.#directory, `.${intent.id}.tmp`)
    for (const { name } of intent.moves) {
      await rm(temporary, { force: true })
      await writeFlushed(temporary, JSON.stringify(intent))
      await rename(temporary, this.#file(name))
    }
    await flushDirectory(this.#directory)
  }

  async forget(move: string): Promise<void> {
    await rm(this.#file(move), { force: true })
    await flushDirectory(this.#directory)
  }

  /** Puts back what the database has lost; recovery then ends it as the decision says, or aborts it. */
  async restore(cutovers: CutoverRecords): Promise<CutoverIntent[]> {
    const restored: CutoverIntent[] = []
    for (const file of await readdir(this.#directory)) {
      if (!file.endsWith('.json')) continue
      const intent = JSON.parse(await readFile(join(this.#directory, file), 'utf8')) as CutoverIntent
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
