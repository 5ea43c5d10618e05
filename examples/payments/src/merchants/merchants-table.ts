import { type Outcome, readJournal } from '../journal.ts'
import { TemporaryDatabase } from '../temporary-database.ts'
import type { MerchantsLine } from './merchants-journal.ts'

/** A request as the journal knows it at its end. */
export interface AskedRequest {
  /** Partner and number, with a slash between them. */
  readonly key: string
  readonly amount: bigint
  readonly payer: bigint | null
  /** A request whose outcome was never written counts as unknown. */
  readonly outcome: Outcome
  readonly answer: string | null
}

/** The journal of merchants, sorted; see `JournalTable`. */
export class MerchantsTable implements Disposable {
  readonly #file = new TemporaryDatabase(`
    CREATE TABLE asks (
      kind TEXT, key TEXT, order_key TEXT, amount INTEGER, payer INTEGER, outcome TEXT DEFAULT 'unknown', answer TEXT,
      PRIMARY KEY (key, kind)
    ) WITHOUT ROWID;
    CREATE TABLE differing (key TEXT)`)

  async add(path: string): Promise<void> {
    const { sql } = this.#file
    const ask = sql.prepare('INSERT INTO asks (kind, key, order_key, amount, payer) VALUES (?, ?, ?, ?, ?)')
    const end = sql.prepare('UPDATE asks SET outcome = ?, answer = ? WHERE kind = ? AND key = ?')
    const differs = sql.prepare('INSERT INTO differing VALUES (?)')
    sql.exec('BEGIN')
    for await (const line of readJournal<MerchantsLine>(path)) {
      if (line.t === 'differs') differs.run(line.key)
      if (line.t !== 'ask' && line.t !== 'end') continue
      const key = `${line.partner}/${line.key}`
      if (line.t === 'ask') {
        ask.run(line.kind, key, `${line.partner}/${line.order}`, line.amount, line.payer ?? null)
      } else if (BigInt(end.run(line.outcome, line.answer ?? null, line.kind, key).changes) !== 1n) {
        throw new Error(`the journal has an outcome for ${key}, which it never asked`)
      }
    }
    sql.exec('COMMIT')
  }

  /** What has to have a kept answer, ascending by key. */
  requests(): Iterable<AskedRequest> {
    return this.#rows(`SELECT key, amount, payer, outcome, answer FROM asks WHERE kind <> 'payment' ORDER BY key`)
  }

  /** Ascending by the key of the order. */
  orders(): Iterable<AskedRequest> {
    const sql = `SELECT order_key AS key, amount, payer, outcome, answer FROM asks WHERE kind = 'order' ORDER BY 1`
    return this.#rows(sql)
  }

  /** Ascending by the key of the order. */
  payments(): Iterable<AskedRequest> {
    return this.#rows(`SELECT key, amount, payer, outcome, answer FROM asks WHERE kind = 'payment' ORDER BY key`)
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

  #rows(sql: string): Iterable<AskedRequest> {
    return this.#file.sql.prepare(sql).iterate() as Iterable<unknown> as Iterable<AskedRequest>
  }
}
