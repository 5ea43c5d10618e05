import { type Connection, createConnection } from 'mysql2'

/** One consistent view of the merchants' database, read only; one stream of rows at a time. Integers are text. */
export class MerchantsSnapshot implements AsyncDisposable {
  readonly #connection: Connection

  private constructor(connection: Connection) {
    this.#connection = connection
  }

  static async open(url: string): Promise<MerchantsSnapshot> {
    const options = { uri: url, timezone: 'Z', supportBigNumbers: true, bigNumberStrings: true, connectTimeout: 5000 }
    const connection = createConnection(options)
    const snapshot = new MerchantsSnapshot(connection)
    await connection.promise().query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    await connection.promise().query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY')
    return snapshot
  }

  /** Rows in the query's order, as they come: never all in memory. */
  async *rows<Row>(sql: string): AsyncGenerator<Row> {
    for await (const row of this.#connection.query(sql).stream({ highWaterMark: 500 })) yield row as Row
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.destroy()
  }
}
