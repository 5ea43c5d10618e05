import type { AuditEntry } from './api-types.ts'
import type { ControlDatabase } from './control-database.ts'

interface Row {
  id: string | number
  at: Date
  actor: string
  verb: string
  move: string | null
  outcome: AuditEntry['outcome']
  detail: string
}

/** Who asked for what, and what came of it. Entries are only ever added. */
export class AuditLog {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  async append(entry: Omit<AuditEntry, 'id'>): Promise<void> {
    await this.#database.query(
      `INSERT INTO replatform_control.audit (estate, at, actor, verb, move, outcome, detail)
       VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      [this.#estate, entry.at, entry.actor, entry.verb, entry.move, entry.outcome, entry.detail],
    )
  }

  /** The newest entries, oldest first. */
  async list(limit = 200): Promise<AuditEntry[]> {
    const rows = await this.#database.query<Row>(
      `SELECT id, at, actor, verb, move, outcome, detail FROM replatform_control.audit
       WHERE estate = $1 ORDER BY id DESC LIMIT $2`,
      [this.#estate, limit],
    )
    return rows.reverse().map((row) => ({ ...row, id: Number(row.id), at: row.at.toISOString() }))
  }
}
