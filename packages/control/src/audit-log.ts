import type { Log } from '@replatform/core/connector'
import type { AuditEntry, AuditVerification } from './api-types.ts'
import type { AuditAnchor } from './audit-anchor.ts'
import { type AuditHead, type ChainedEntry, ChainReader, chainBeginning, hashOf } from './audit-chain.ts'
import type { ControlDatabase, Sql } from './control-database.ts'
import { originNow } from './request-origin.ts'

interface Row extends Omit<ChainedEntry, 'at' | 'number'> {
  id: string | number
  at: Date
  number: string | number
}

export interface AuditLogOptions {
  readonly database: ControlDatabase
  readonly estate: string
  readonly anchor: AuditAnchor
  /** Told of each entry that stands. */
  readonly onEntry?: (entry: Omit<AuditEntry, 'id'>) => void
  readonly log: Log
}

const columns = 'id, at, actor, origin, verb, move, outcome, detail, number, previous, hash'
const pageSize = 1_000

/** Who asked for what, from where and why, and what came of it. Entries are only ever added, each chained to the last. */
export class AuditLog {
  readonly #options: AuditLogOptions
  #appended: Promise<unknown> = Promise.resolve()

  constructor(options: AuditLogOptions) {
    this.#options = options
  }

  /** Durable as far as the control database is; then its hash is flushed beside it. One after the other. */
  append(entry: Omit<AuditEntry, 'id' | 'origin'>): Promise<void> {
    const whole = { ...entry, origin: originNow() }
    const appended = this.#appended.catch(() => {}).then(() => this.#append(whole))
    this.#appended = appended
    return appended
  }

  /** The newest entries, oldest first. */
  async list(limit = 200): Promise<AuditEntry[]> {
    const { database, estate } = this.#options
    const rows = await database.query<Row>(
      `SELECT ${columns} FROM replatform_control.audit WHERE estate = $1 ORDER BY id DESC LIMIT $2`,
      [estate, limit],
    )
    return rows.reverse().map(({ number: _, previous: __, hash: ___, ...row }) => {
      return { ...row, id: Number(row.id), at: row.at.toISOString() }
    })
  }

  /** Reads the whole log, a page at a time. */
  async verify(): Promise<AuditVerification> {
    const { database, estate, anchor } = this.#options
    const reader = new ChainReader(estate, await anchor.read())
    for (let after = 0; ; ) {
      const rows = await database.query<Row>(
        `SELECT ${columns} FROM replatform_control.audit WHERE estate = $1 AND number > $2 ORDER BY number LIMIT $3`,
        [estate, after, pageSize],
      )
      for (const row of rows) reader.take({ ...row, number: Number(row.number), at: row.at.toISOString() })
      if (rows.length < pageSize) break
      after = Number(rows.at(-1)?.number)
    }
    const [before] = await database.query<{ count: string }>(
      'SELECT count(*) FROM replatform_control.audit WHERE estate = $1 AND number IS NULL',
      [estate],
    )
    return reader.end(Number(before?.count ?? 0))
  }

  async #append(entry: Omit<AuditEntry, 'id'>): Promise<void> {
    const { database, estate, anchor, log } = this.#options
    const anchored = await anchor.read()
    const head = await database.transaction(async (sql) => {
      await sql.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`replatform audit ${estate}`])
      const before = newerOf(await this.#head(sql), anchored)
      const number = before.number + 1
      const hash = hashOf(estate, { ...entry, number, previous: before.hash })
      const { at, actor, origin, verb, move, outcome, detail } = entry
      await sql.query(
        `INSERT INTO replatform_control.audit (estate, at, actor, origin, verb, move, outcome, detail, number, previous, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
        [estate, at, actor, origin, verb, move, outcome, detail, number, before.hash, hash],
      )
      return { number, hash }
    })
    this.#options.onEntry?.(entry)
    await anchor.write(head).catch((thrown) => {
      log.warn({ err: thrown }, 'The newest hash of the audit log was not flushed; a cut-off end would not be noticed.')
    })
  }

  async #head(sql: Sql): Promise<AuditHead> {
    const [row] = await sql.query<{ number: string | number; hash: string }>(
      `SELECT number, hash FROM replatform_control.audit WHERE estate = $1 AND number IS NOT NULL
       ORDER BY number DESC LIMIT 1`,
      [this.#options.estate],
    )
    return row ? { number: Number(row.number), hash: row.hash } : { number: 0, hash: chainBeginning }
  }
}

/** Where the database has lost its end, the chain goes on behind what was lost, so that the gap stays to be seen. */
function newerOf(head: AuditHead, anchored: AuditHead | null): AuditHead {
  return anchored && anchored.number > head.number ? anchored : head
}
