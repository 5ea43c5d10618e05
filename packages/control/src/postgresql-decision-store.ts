import type { Decision } from '@replatform/core/connector'
import { invariant } from '@replatform/core/errors'
import type { DecisionStore } from '@replatform/engine/decision-store'
import type { ControlDatabase, Sql } from './control-database.ts'

/** Decisions in a control database that survives a power cut by itself; not for PGlite, which does not flush. */
export class PostgresqlDecisionStore implements DecisionStore {
  readonly #database: ControlDatabase

  constructor(database: ControlDatabase) {
    invariant(database.kind === 'postgresql', 'Only a PostgreSQL server flushes what it commits.')
    this.#database = database
  }

  async decide(decision: Decision): Promise<Decision> {
    await this.#database.transaction(async (sql) => {
      // The server's or role's default may be off, which would answer before the record is on disk.
      await sql.query('SET LOCAL synchronous_commit = on')
      await sql.query(
        'INSERT INTO replatform_control.decision (id, outcome, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [decision.id, decision.outcome, decision.at],
      )
    })
    const standing = await find(this.#database, decision.id)
    invariant(standing, `The decision of ${decision.id} vanished after it was recorded.`)
    return standing
  }

  read(id: string): Promise<Decision | undefined> {
    return find(this.#database, id)
  }
}

async function find(sql: Sql, id: string): Promise<Decision | undefined> {
  const [row] = await sql.query<Decision>('SELECT id, outcome, at FROM replatform_control.decision WHERE id = $1', [id])
  return row
}
