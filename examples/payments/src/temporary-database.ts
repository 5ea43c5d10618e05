import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** A SQLite file of our own for sorting, with 32 MB of memory however much it holds. Integers are read as bigint. */
export class TemporaryDatabase implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'judge-'))
  readonly sql = new DatabaseSync(join(this.#directory, 'journal.sqlite'), { readBigInts: true })

  constructor(schema: string) {
    this.sql.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000; ${schema}`)
  }

  [Symbol.dispose](): void {
    this.sql.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
