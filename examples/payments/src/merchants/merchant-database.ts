import { readFile } from 'node:fs/promises'
import {
  createConnection,
  createPool,
  type Pool,
  type PoolConnection,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2/promise'
import { StoreUnavailable } from '../store-unavailable.ts'

export type SqlValue = string | number | bigint | boolean | Buffer | Date | null

/** Creates the tables in an empty database. */
export async function createMerchantTables(ownerUrl: string): Promise<void> {
  const connection = await createConnection({ uri: ownerUrl, multipleStatements: true })
  try {
    await connection.query(await readFile(new URL('../../sql/merchants.sql', import.meta.url), 'utf8'))
  } finally {
    await connection.end()
  }
}

/** Statements on MariaDB; without an answer they reject with `StoreUnavailable`. Numbers beyond 2^53 are read as text. */
export class MerchantDatabase {
  readonly #pool: Pool

  constructor(url: string, connections = 16) {
    this.#pool = createPool({
      uri: url,
      connectionLimit: connections,
      timezone: 'Z',
      supportBigNumbers: true,
      connectTimeout: 5000,
    })
    // Comes before whatever else the connection is asked; if it fails, so does that.
    const session = `SET SESSION tx_isolation = 'READ-COMMITTED', time_zone = '+00:00'`
    this.#pool.pool.on('connection', (connection) => connection.query(session, () => undefined))
  }

  async rows<Row>(sql: string, values: readonly SqlValue[] = []): Promise<Row[]> {
    return await this.#persist(() => rowsBy<Row>(this.#pool, sql, values))
  }

  /** One statement that is a transaction of its own. */
  async change(sql: string, values: readonly SqlValue[] = []): Promise<Change> {
    return await this.#persist(() => changeBy(this.#pool, sql, values))
  }

  /** All of it or nothing. */
  async transaction<Value>(work: (run: Run) => Promise<Value>): Promise<Value> {
    return await this.#persist(() => this.#once(work))
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  /** Repeats the work when MariaDB has chosen it to break a deadlock. */
  async #persist<Value>(work: () => Promise<Value>): Promise<Value> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const deadlock = codeOf(error) === 'ER_LOCK_DEADLOCK'
        if (!deadlock || attempt === 5) throw unavailable(error)
      }
    }
  }

  async #once<Value>(work: (run: Run) => Promise<Value>): Promise<Value> {
    const connection = await this.#pool.getConnection()
    try {
      await connection.beginTransaction()
      const value = await work(new Run(connection))
      await connection.commit()
      connection.release()
      return value
    } catch (error) {
      // Its session is given up, and with it whatever was begun there.
      connection.destroy()
      throw error
    }
  }
}

/** What a transaction may do. */
export class Run {
  readonly #connection: PoolConnection

  constructor(connection: PoolConnection) {
    this.#connection = connection
  }

  async rows<Row>(sql: string, values: readonly SqlValue[] = []): Promise<Row[]> {
    return await rowsBy(this.#connection, sql, values)
  }

  async change(sql: string, values: readonly SqlValue[] = []): Promise<Change> {
    return await changeBy(this.#connection, sql, values)
  }
}

export interface Change {
  /** Number of the row that was added. */
  readonly id: number
  readonly changed: number
}

async function rowsBy<Row>(by: Pool | PoolConnection, sql: string, values: readonly SqlValue[]): Promise<Row[]> {
  const [rows] = await by.query<RowDataPacket[]>(sql, [...values])
  return rows as unknown as Row[]
}

async function changeBy(by: Pool | PoolConnection, sql: string, values: readonly SqlValue[]): Promise<Change> {
  const [{ insertId: id, affectedRows: changed }] = await by.query<ResultSetHeader>(sql, [...values])
  return { id, changed }
}

export function isDuplicate(error: unknown): boolean {
  return codeOf(error instanceof StoreUnavailable ? error.cause : error) === 'ER_DUP_ENTRY'
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** What is no error of the database passes as it is. */
function unavailable(error: unknown): unknown {
  const code = codeOf(error)
  if (error instanceof StoreUnavailable || code === undefined) return error
  return new StoreUnavailable(code.startsWith('ER_') && code !== 'ER_SERVER_SHUTDOWN' ? 'not-done' : 'unknown', error)
}
