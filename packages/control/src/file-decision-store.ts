import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Decision } from '@replatform/core/connector'
import { invariant } from '@replatform/core/errors'
import type { DecisionStore } from '@replatform/engine/decision-store'
import { type FlushedFiles, flushedFiles } from './flushed-file.ts'

/**
 * Decisions as files. `link` is the compare-and-set: it never replaces, and what it makes visible was written and
 * flushed before, so that no reader ever sees half a decision.
 *
 * The directory is flushed by whoever acts on a decision, not only by its author. Otherwise: (1) one process links
 * *committed* and is killed before its flush; (2) another reads it and opens the target; (3) the power fails and
 * takes the link along; (4) the next one finds nothing, aborts, and opens the source as well.
 */
export class FileDecisionStore implements DecisionStore {
  readonly #directory: string
  readonly #files: FlushedFiles

  private constructor(directory: string, files: FlushedFiles) {
    this.#directory = directory
    this.#files = files
  }

  static async open(directory: string, files: FlushedFiles = flushedFiles): Promise<FileDecisionStore> {
    await files.makeDirectory(directory)
    return new FileDecisionStore(directory, files)
  }

  async decide(decision: Decision): Promise<Decision> {
    const file = this.#file(decision.id)
    const temporary = join(this.#directory, `.${randomUUID()}.tmp`)
    await this.#files.write(temporary, JSON.stringify(decision))
    try {
      await this.#files.link(temporary, file)
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown
    } finally {
      await this.#files.remove(temporary)
    }
    const standing = await this.read(decision.id)
    invariant(standing, `The decision of ${decision.id} vanished after it was recorded.`)
    return standing
  }

  async read(id: string): Promise<Decision | undefined> {
    const text = await this.#files.read(this.#file(id))
    if (text === undefined) return undefined
    await this.#files.flushDirectory(this.#directory)
    return JSON.parse(text) as Decision
  }

  #file(id: string): string {
    invariant(/^[\w-]+$/.test(id), 'The id of a decision names a file: letters, digits and hyphens only.')
    return join(this.#directory, `${id}.json`)
  }
}
