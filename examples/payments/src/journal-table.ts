import { AskTable } from './ask-table.ts'
import type { AskLine, EndLine, Outcome, PaymentKind } from './journal.ts'

/** One payment as the journal knows it at its end. */
export interface JournalledPayment {
  readonly key: string
  readonly kind: PaymentKind
  readonly from_account: bigint | null
  readonly to_account: bigint | null
  readonly amount: bigint
  readonly outcome: Outcome
  readonly answer: string | null
}

/** The journal of payments. */
export class JournalTable extends AskTable<AskLine, EndLine> {
  constructor() {
    super({
      schema: `CREATE TABLE asks (
        key TEXT PRIMARY KEY, kind TEXT, from_account INTEGER, to_account INTEGER, amount INTEGER,
        outcome TEXT DEFAULT 'unknown', answer TEXT
      ) WITHOUT ROWID`,
      ask: {
        sql: 'INSERT INTO asks (key, kind, from_account, to_account, amount) VALUES (?, ?, ?, ?, ?)',
        values: ({ key, kind, from, to, amount }) => [key, kind, from, to, amount],
      },
      end: {
        sql: 'UPDATE asks SET outcome = ?, answer = ? WHERE key = ?',
        values: ({ outcome, answer = null, key }) => [outcome, answer, key],
      },
    })
  }

  /** Ascending by key, bytewise. */
  payments(): Iterable<JournalledPayment> {
    return this.rows('SELECT * FROM asks ORDER BY key')
  }

  isUnknown(key: string): boolean {
    return [...this.rows(`SELECT 1 FROM asks WHERE key = ? AND outcome = 'unknown'`, key)].length > 0
  }
}
