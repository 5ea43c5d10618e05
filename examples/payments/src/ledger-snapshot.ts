import { Client } from 'pg'

/** How many rows of a cursor are in memory at a time. */
const batchRows = 2000

/** One consistent view of a ledger, read only and for as long as it is open, by cursors in bounded memory. */
export class LedgerSnapshot implements AsyncDisposable {
  readonly #client: Client
  #cursors = 0

  private constructor(client: Client) {
    this.#client = client
  }

  static async open(url: string): Promise<LedgerSnapshot> {
    const client = new Client({ connectionString: url, application_name: 'judge' })
    await client.connect()
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    return new LedgerSnapshot(client)
  }

  /** Rows in the query's order. Several streams may be read side by side. */
  async *rows<Row extends object>(query: string): AsyncGenerator<Row> {
    const cursor = `reading_${++this.#cursors}`
    await this.#client.query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${query}`)
    for (;;) {
      const batch = await this.#client.query<Row>(`FETCH ${batchRows} FROM ${cursor}`)
      yield* batch.rows
      if (batch.rows.length < batchRows) break
    }
    await this.#client.query(`CLOSE ${cursor}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end()
  }
}
