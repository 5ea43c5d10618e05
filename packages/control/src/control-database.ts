/**
 * One SQL interface over the two homes of control state: PGlite inside the worker, or a PostgreSQL that workers on
 * several machines share.
 */
import { PGlite } from '@electric-sql/pglite'
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import pg from 'pg'
import { type ConstructorOptions, fromPglite } from 'pg-boss'
import { controlError } from './control-error.ts'
import { migrate } from './control-migrations.ts'

export interface Sql {
  /** One statement with parameters `$1` …; JSON goes in as text. */
  query<Row>(text: string, parameters?: readonly unknown[]): Promise<Row[]>
}

export interface ControlDatabase extends Sql, AsyncDisposable {
  readonly kind: 'pglite' | 'postgresql'
  /** How pg-boss reaches the same database. */
  readonly forJobs: ConstructorOptions
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
}

/** Opens the embedded database in a directory. Only the owner of the state directory may do so. */
export async function openEmbeddedDatabase(directory: string): Promise<ControlDatabase> {
  const database = await createPglite(directory)
  return migrated(new EmbeddedDatabase(database))
}

/** Connects to a shared control database. Throws `control.unreachable`. */
export async function openSharedDatabase(url: string, log: Log): Promise<ControlDatabase> {
  const pool = new pg.Pool({ connectionString: url, max: 6, application_name: 'replatform-control' })
  pool.on('error', (error) => log.warn({ err: error }, 'A connection to the control database broke.'))
  const shared = new SharedDatabase(pool, url)
  try {
    await shared.query('SELECT 1')
  } catch (thrown) {
    await shared[Symbol.asyncDispose]()
    const message = `The control database does not answer: ${(thrown as Error).message}.`
    throw new ReplatformError('control.unreachable', { message, cause: thrown })
  }
  return migrated(shared)
}

async function migrated(database: ControlDatabase): Promise<ControlDatabase> {
  try {
    await migrate(database)
    return database
  } catch (thrown) {
    await database[Symbol.asyncDispose]()
    throw thrown
  }
}

async function createPglite(directory: string): Promise<PGlite> {
  try {
    return await PGlite.create(directory)
  } catch (thrown) {
    const message = `The control database in ${directory} cannot be opened: ${(thrown as Error).message}.`
    throw new ReplatformError('state.unusable', { message, cause: thrown })
  }
}

class EmbeddedDatabase implements ControlDatabase {
  readonly kind = 'pglite'
  readonly forJobs: ConstructorOptions
  readonly #pglite: PGlite

  constructor(pglite: PGlite) {
    this.#pglite = pglite
    this.forJobs = { db: fromPglite(pglite), backend: 'pglite' }
  }

  async query<Row>(text: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#pglite.query<Row>(text, [...parameters])).rows
  }

  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#pglite.transaction((tx) =>
      work({
        query: async <Row>(text: string, parameters: readonly unknown[] = []) =>
          (await tx.query<Row>(text, [...parameters])).rows,
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pglite.close()
  }
}

class SharedDatabase implements ControlDatabase {
  readonly kind = 'postgresql'
  readonly forJobs: ConstructorOptions
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool, url: string) {
    this.#pool = pool
    this.forJobs = { connectionString: url, max: 6, application_name: 'replatform-jobs' }
  }

  query<Row>(text: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return rowsOf<Row>(this.#pool, text, parameters)
  }

  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((thrown) => Promise.reject(controlError(thrown)))
    let broken = false
    try {
      await client.query('BEGIN')
      const result = await work({
        query: <Row>(text: string, parameters: readonly unknown[] = []) => rowsOf<Row>(client, text, parameters),
      })
      await client.query('COMMIT')
      return result
    } catch (thrown) {
      await client.query('ROLLBACK').catch(() => {
        broken = true
      })
      throw controlError(thrown)
    } finally {
      client.release(broken)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

async function rowsOf<Row>(
  from: pg.Pool | pg.PoolClient,
  text: string,
  parameters: readonly unknown[],
): Promise<Row[]> {
  try {
    const result = await from.query(text, [...parameters])
    return result.rows as Row[]
  } catch (thrown) {
    throw controlError(thrown)
  }
}
