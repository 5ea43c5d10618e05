import { AskTable } from '../ask-table.ts'
import type { Outcome } from '../journal.ts'
import type { ProfilesAskLine, ProfilesEndLine, ProfilesKind } from './profiles-journal.ts'

export interface AskedChange {
  readonly kind: ProfilesKind
  readonly key: string
  readonly account: bigint
  readonly version: bigint | null
  readonly content: string | null
  readonly outcome: Outcome
  readonly deadline: bigint | null
}

/** The journal of profiles. */
export class ProfilesTable extends AskTable<ProfilesAskLine, ProfilesEndLine> {
  constructor() {
    super({
      schema: `
        CREATE TABLE asks (
          kind TEXT, key TEXT PRIMARY KEY, account INTEGER, version INTEGER, content TEXT,
          outcome TEXT DEFAULT 'unknown', deadline INTEGER
        ) WITHOUT ROWID;
        CREATE INDEX by_account ON asks (account, version) WHERE kind <> 'notification'`,
      ask: {
        sql: 'INSERT INTO asks (kind, key, account, version, content) VALUES (?, ?, ?, ?, ?)',
        values: ({ kind, key, account, version = null, content = null }) => [kind, key, account, version, content],
      },
      end: {
        sql: 'UPDATE asks SET outcome = ?, deadline = ? WHERE key = ?',
        values: ({ outcome, deadline = null, key }) => [outcome, deadline, key],
      },
    })
  }

  /** Ascending by account and version. */
  changes(): Iterable<AskedChange> {
    return this.rows(`SELECT * FROM asks WHERE kind <> 'notification' ORDER BY account, version, key`)
  }

  /** Ascending by key. */
  notifications(): Iterable<AskedChange> {
    return this.rows(`SELECT * FROM asks WHERE kind = 'notification' ORDER BY key`)
  }
}
