import { AskTable } from '../ask-table.ts'
import type { Outcome } from '../journal.ts'
import type { MerchantsAskLine, MerchantsEndLine } from './merchants-journal.ts'

/** A request as the journal knows it at its end. */
export interface AskedRequest {
  /** Partner and number, with a slash between them. */
  readonly key: string
  readonly amount: bigint
  readonly payer: bigint | null
  readonly outcome: Outcome
  readonly answer: string | null
}

/** The journal of merchants. */
export class MerchantsTable extends AskTable<MerchantsAskLine, MerchantsEndLine> {
  constructor() {
    super({
      schema: `CREATE TABLE asks (
        kind TEXT, key TEXT, order_key TEXT, amount INTEGER, payer INTEGER, outcome TEXT DEFAULT 'unknown', answer TEXT,
        PRIMARY KEY (key, kind)
      ) WITHOUT ROWID`,
      ask: {
        sql: 'INSERT INTO asks (kind, key, order_key, amount, payer) VALUES (?, ?, ?, ?, ?)',
        values: ({ kind, partner, key, order, amount, payer = null }) => [
          kind,
          `${partner}/${key}`,
          `${partner}/${order}`,
          amount,
          payer,
        ],
      },
      end: {
        sql: 'UPDATE asks SET outcome = ?, answer = ? WHERE kind = ? AND key = ?',
        values: ({ outcome, answer = null, kind, partner, key }) => [outcome, answer, kind, `${partner}/${key}`],
      },
    })
  }

  /** What has to have a kept answer, ascending by key. */
  requests(): Iterable<AskedRequest> {
    return this.rows(`SELECT key, amount, payer, outcome, answer FROM asks WHERE kind <> 'payment' ORDER BY key`)
  }

  /** Ascending by the key of the order. */
  orders(): Iterable<AskedRequest> {
    return this.rows(
      `SELECT order_key AS key, amount, payer, outcome, answer FROM asks WHERE kind = 'order' ORDER BY 1`,
    )
  }

  /** Ascending by the key of the order. */
  payments(): Iterable<AskedRequest> {
    return this.rows(`SELECT key, amount, payer, outcome, answer FROM asks WHERE kind = 'payment' ORDER BY key`)
  }
}
