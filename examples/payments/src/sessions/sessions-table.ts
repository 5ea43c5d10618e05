import type { Outcome } from '../journal.ts'
import { readJournal } from '../journal.ts'
import { TemporaryDatabase } from '../temporary-database.ts'
import type { SessionsAskLine, SessionsEndLine, SessionsLine } from './sessions-journal.ts'

/** A code, session or answer as the journal knows it at its end. */
export interface KeptItem {
  readonly kind: 'code' | 'session' | 'answer'
  readonly key: string
  readonly account: number
  readonly code: string | null
  readonly content: string | null
  /** A request whose outcome was never written counts as unknown. */
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

/** The journal of sessions, sorted; see `JournalTable`. */
export class SessionsTable implements Disposable {
  readonly #file = new TemporaryDatabase(`
    CREATE TABLE asks (
      kind TEXT, key TEXT, account INTEGER, code TEXT, content TEXT, outcome TEXT DEFAULT 'unknown', deadline INTEGER,
      asked REAL, ended REAL DEFAULT 9e15, PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE INDEX uses ON asks (code) WHERE code IS NOT NULL;
    CREATE INDEX comings ON asks (account) WHERE kind IN ('login', 'logout');
    CREATE TABLE differing (key TEXT)`)

  async add(path: string): Promise<void> {
    const { sql } = this.#file
    const ask = sql.prepare('INSERT INTO asks (kind, key, account, code, content, asked) VALUES (?, ?, ?, ?, ?, ?)')
    const end = sql.prepare('UPDATE asks SET outcome = ?, deadline = ?, ended = ? WHERE kind = ? AND key = ?')
    const differs = sql.prepare('INSERT INTO differing VALUES (?)')
    let startedAt = 0
    sql.exec('BEGIN')
    for await (const line of readJournal<SessionsLine>(path)) {
      if (line.t === 'run') startedAt = Date.parse(line.at)
      if (line.t === 'ask') ask.run(...askValues(line, startedAt))
      if (line.t === 'end' && BigInt(end.run(...endValues(line, startedAt)).changes) !== 1n) {
        throw new Error(`the journal has an outcome for ${line.key}, which it never asked`)
      }
      if (line.t === 'differs') differs.run(line.key)
    }
    sql.exec('COMMIT')
  }

  /** Everything that was to be kept, in batches. */
  *items(batch = 500): Generator<KeptItem[]> {
    const rows = this.#file.sql
      .prepare(
        `SELECT CASE a.kind WHEN 'login' THEN 'session' ELSE a.kind END AS kind, a.key, a.account, a.code, a.content,
                a.outcome, a.deadline,
                CASE a.kind WHEN 'login' THEN (SELECT o.outcome FROM asks o WHERE o.kind = 'logout' AND o.key = a.key)
                            WHEN 'code' THEN (SELECT max(u.outcome) FROM asks u WHERE u.code = a.key) END AS closing
           FROM asks a WHERE a.kind <> 'logout'`,
      )
      .iterate() as Iterable<unknown> as Iterable<KeptItem & { account: bigint; deadline: bigint | null }>
    let items: KeptItem[] = []
    for (const row of rows) {
      items.push({
        ...row,
        account: Number(row.account),
        deadline: row.deadline === null ? null : Number(row.deadline),
      })
      if (items.length < batch) continue
      yield items
      items = []
    }
    yield items
  }

  /** Accounts that somebody came or left with, or tried to. */
  accounts(): number[] {
    const rows = this.#file.sql.prepare(`SELECT DISTINCT account FROM asks WHERE kind IN ('login', 'logout')`).all()
    return rows.map(({ account }) => Number(account))
  }

  logins(account: number): LoginEvent[] {
    return this.#file.sql
      .prepare(
        `SELECT kind AS event, key AS session, outcome, asked, ended FROM asks
          WHERE account = ? AND kind IN ('login', 'logout') ORDER BY asked`,
      )
      .all(account) as unknown as LoginEvent[]
  }

  wasAsked(kind: 'code' | 'session' | 'answer', key: string): boolean {
    const asked = kind === 'session' ? 'login' : kind
    return this.#file.sql.prepare('SELECT 1 FROM asks WHERE kind = ? AND key = ?').get(asked, key) !== undefined
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
}

function askValues(line: SessionsAskLine, startedAt: number) {
  const { kind, key, account, code = null, content = null, ms } = line
  return [kind, key, account, code, content, startedAt + ms] as const
}

function endValues(line: SessionsEndLine, startedAt: number) {
  return [line.outcome, line.deadline ?? null, startedAt + line.ms, line.kind, line.key] as const
}
