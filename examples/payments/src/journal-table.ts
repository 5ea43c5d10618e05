import { type AskLine, type EndLine, type Outcome, type PaymentKind, readJournal } from './journal.ts'
import { TemporaryDatabase } from './temporary-database.ts'

/** One payment as the journal knows it at its end. */
export interface JournalledPayment {
  readonly key: string
  readonly kind: PaymentKind
  readonly from_account: bigint | null
  readonly to_account: bigint | null
  readonly amount: bigint
  /** A request whose outcome was never written counts as unknown. */
  readonly outcome: Outcome
  readonly answer: string | null
}

/**
 * The journal sorted by key: a temporary SQLite file, so that a journal of any length is judged with 32 MB of memory
 * and about 150 bytes of disk a payment.
 */
export class JournalTable implements Disposable {
  readonly #file = new TemporaryDatabase(`
    CREATE TABLE payments (
      key TEXT PRIMARY KEY, kind TEXT, from_account INTEGER, to_account INTEGER, amount INTEGER,
      outcome TEXT DEFAULT 'unknown', answer TEXT
    ) WITHOUT ROWID`)
  #repliesDiffering: string[] = []
  #repliesDifferingCount = 0

  async add(path: string): Promise<void> {
    const ask = this.#file.sql.prepare(
      'INSERT INTO payments (key, kind, from_account, to_account, amount) VALUES (?, ?, ?, ?, ?)',
    )
    const end = this.#file.sql.prepare('UPDATE payments SET outcome = ?, answer = ? WHERE key = ?')
    this.#file.sql.exec('BEGIN')
    for await (const line of readJournal(path)) {
      if (line.t === 'ask') ask.run(...askValues(line))
      if (line.t === 'end') requireOne(end.run(...endValues(line)).changes, line.key)
      if (line.t === 'differs') this.#replyDiffers(line.key)
    }
    this.#file.sql.exec('COMMIT')
  }

  /** Ascending by key, bytewise. */
  payments(): Iterable<JournalledPayment> {
    return this.#file.sql
      .prepare('SELECT * FROM payments ORDER BY key')
      .iterate() as Iterable<unknown> as Iterable<JournalledPayment>
  }

  isUnknown(key: string): boolean {
    const row = this.#file.sql.prepare(`SELECT 1 FROM payments WHERE key = ? AND outcome = 'unknown'`).get(key)
    return row !== undefined
  }

  /** Payments whose repetition got another answer: how many, and the first of them. */
  get repliesDiffering(): { readonly count: number; readonly keys: readonly string[] } {
    return { count: this.#repliesDifferingCount, keys: this.#repliesDiffering }
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]()
  }

  #replyDiffers(key: string): void {
    this.#repliesDifferingCount++
    if (this.#repliesDiffering.length < 10) this.#repliesDiffering.push(key)
  }
}

function askValues(line: AskLine): [string, string, number | null, number | null, number] {
  return [line.key, line.kind, line.from, line.to, line.amount]
}

function endValues(line: EndLine): [string, string | null, string] {
  return [line.outcome, line.answer ?? null, line.key]
}

function requireOne(changes: number | bigint, key: string): void {
  if (BigInt(changes) !== 1n) throw new Error(`the journal has an outcome for ${key}, which it never asked`)
}
