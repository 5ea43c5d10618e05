import { type Outcome, readJournal } from '../journal.ts'
import { TemporaryDatabase } from '../temporary-database.ts'
import type { ProfilesKind, ProfilesLine } from './profiles-journal.ts'

export interface AskedChange {
  readonly kind: ProfilesKind
  readonly key: string
  readonly account: bigint
  readonly version: bigint | null
  readonly content: string | null
  /** A request whose outcome was never written counts as unknown. */
  readonly outcome: Outcome
  readonly deadline: bigint | null
}

/** The journal of profiles, sorted; see `JournalTable`. */
export class ProfilesTable implements Disposable {
  readonly #file = new TemporaryDatabase(`
    CREATE TABLE asks (
      kind TEXT, key TEXT PRIMARY KEY, account INTEGER, version INTEGER, content TEXT, outcome TEXT DEFAULT 'unknown',
      deadline INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX by_account ON asks (account, version) WHERE kind <> 'notification';
    CREATE TABLE differing (key TEXT)`)

  async add(path: string): Promise<void> {
    const { sql } = this.#file
    const ask = sql.prepare('INSERT INTO asks (kind, key, account, version, content) VALUES (?, ?, ?, ?, ?)')
    const end = sql.prepare('UPDATE asks SET outcome = ?, deadline = ? WHERE key = ?')
    const differs = sql.prepare('INSERT INTO differing VALUES (?)')
    sql.exec('BEGIN')
    for await (const line of readJournal<ProfilesLine>(path)) {
      if (line.t === 'ask') ask.run(line.kind, line.key, line.account, line.version ?? null, line.content ?? null)
      if (line.t === 'differs') differs.run(line.key)
      if (line.t === 'end' && BigInt(end.run(line.outcome, line.deadline ?? null, line.key).changes) !== 1n) {
        throw new Error(`the journal has an outcome for ${line.key}, which it never asked`)
      }
    }
    sql.exec('COMMIT')
  }

  /** Ascending by account and version. */
  changes(): Iterable<AskedChange> {
    return this.#rows(`SELECT * FROM asks WHERE kind <> 'notification' ORDER BY account, version, key`)
  }

  /** Ascending by key. */
  notifications(): Iterable<AskedChange> {
    return this.#rows(`SELECT * FROM asks WHERE kind = 'notification' ORDER BY key`)
  }

  differing(): string[] {
    return this.#file.sql
      .prepare('SELECT key FROM differing')
      .all()
      .map(({ key }) => String(key))
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]()
  }

  #rows(sql: string): Iterable<AskedChange> {
    return this.#file.sql.prepare(sql).iterate() as Iterable<unknown> as Iterable<AskedChange>
  }
}
