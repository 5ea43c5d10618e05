import { AskTable } from '../ask-table.ts'
import type { Outcome } from '../journal.ts'
import type { SessionsAskLine, SessionsEndLine } from './sessions-journal.ts'

/** A code, session or answer as the journal knows it at its end. */
export interface KeptItem {
  readonly kind: 'code' | 'session' | 'answer'
  readonly key: string
  readonly account: number
  readonly code: string | null
  readonly content: string | null
  readonly outcome: Outcome
  readonly deadline: number | null
  /** Used up, or logged out: the outcome of the request that did so; null when there was none. */
  readonly closing: Outcome | null
}

/** A login or logout, with the wall clock at which it was asked for and answered. */
export interface LoginEvent {
  readonly event: 'login' | 'logout'
  readonly session: string
  readonly outcome: Outcome
  readonly asked: number
  readonly ended: number
}

/** The journal of sessions. */
export class SessionsTable extends AskTable<SessionsAskLine, SessionsEndLine> {
  constructor() {
    super({
      schema: `
        CREATE TABLE asks (
          kind TEXT, key TEXT, account INTEGER, code TEXT, content TEXT, outcome TEXT DEFAULT 'unknown',
          deadline INTEGER, asked REAL, ended REAL DEFAULT 9e15, PRIMARY KEY (kind, key)
        ) WITHOUT ROWID;
        CREATE INDEX uses ON asks (code) WHERE code IS NOT NULL;
        CREATE INDEX comings ON asks (account) WHERE kind IN ('login', 'logout')`,
      ask: {
        sql: 'INSERT INTO asks (kind, key, account, code, content, asked) VALUES (?, ?, ?, ?, ?, ?)',
        values: ({ kind, key, account, code = null, content = null, ms }, startedAt) => [
          kind,
          key,
          account,
          code,
          content,
          startedAt + ms,
        ],
      },
      end: {
        sql: 'UPDATE asks SET outcome = ?, deadline = ?, ended = ? WHERE kind = ? AND key = ?',
        values: ({ outcome, deadline = null, ms, kind, key }, startedAt) => [
          outcome,
          deadline,
          startedAt + ms,
          kind,
          key,
        ],
      },
    })
  }

  /** Everything that was to be kept, in batches. */
  *items(batch = 500): Generator<KeptItem[]> {
    const rows = this.rows<KeptItem & { account: bigint; deadline: bigint | null }>(
      `SELECT CASE a.kind WHEN 'login' THEN 'session' ELSE a.kind END AS kind, a.key, a.account, a.code, a.content,
              a.outcome, a.deadline,
              CASE a.kind WHEN 'login' THEN (SELECT o.outcome FROM asks o WHERE o.kind = 'logout' AND o.key = a.key)
                          WHEN 'code' THEN (SELECT max(u.outcome) FROM asks u WHERE u.code = a.key) END AS closing
         FROM asks a WHERE a.kind <> 'logout'`,
    )
    let items: KeptItem[] = []
    for (const row of rows) {
      const deadline = row.deadline === null ? null : Number(row.deadline)
      items.push({ ...row, account: Number(row.account), deadline })
      if (items.length < batch) continue
      yield items
      items = []
    }
    yield items
  }

  /** Accounts that somebody came or left with, or tried to. */
  accounts(): number[] {
    const sql = `SELECT DISTINCT account FROM asks WHERE kind IN ('login', 'logout')`
    return [...this.rows<{ account: bigint }>(sql)].map(({ account }) => Number(account))
  }

  logins(account: number): LoginEvent[] {
    const sql = `
      SELECT kind AS event, key AS session, outcome, asked, ended FROM asks
       WHERE account = ? AND kind IN ('login', 'logout') ORDER BY asked`
    return [...this.rows<LoginEvent>(sql, account)]
  }

  wasAsked(kind: 'code' | 'session' | 'answer', key: string): boolean {
    const asked = kind === 'session' ? 'login' : kind
    return [...this.rows('SELECT 1 FROM asks WHERE kind = ? AND key = ?', asked, key)].length > 0
  }
}
