import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import type { AuditHead } from './audit-chain.ts'
import { type FlushedFiles, flushedFiles } from './flushed-file.ts'

/**
 * The newest entry of the audit log, flushed in a file of its own: without it nobody could tell a log whose end was cut
 * off from one that never went further.
 */
export class AuditAnchor {
  readonly #file: string
  readonly #files: FlushedFiles

  constructor(file: string, files: FlushedFiles = flushedFiles) {
    this.#file = file
    this.#files = files
  }

  /** Null where nothing was anchored yet; what is not readable counts as that, and the next entry replaces it. */
  async read(): Promise<AuditHead | null> {
    const text = await this.#files.read(this.#file)
    try {
      const { number, hash } = JSON.parse(text ?? 'null') as AuditHead
      return { number, hash }
    } catch {
      return null
    }
  }

  async write({ number, hash }: AuditHead): Promise<void> {
    const temporary = `${this.#file}.${randomUUID()}`
    try {
      await this.#files.write(temporary, JSON.stringify({ number, hash }))
      await this.#files.rename(temporary, this.#file)
    } finally {
      await this.#files.remove(temporary)
    }
    await this.#files.flushDirectory(dirname(this.#file))
  }
}
